package directory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// provision makes an empty domain. Nothing outside of the folder is touched.
func (d *Domain) provision(ctx context.Context) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	empty := d.path("empty.conf") // without it the machine's own configuration would be taken over
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	err := run(ctx, nil, "samba-tool", "domain", "provision", "-s", empty, "--realm="+Realm, "--domain="+NetBIOS, "--server-role=dc",
		"--dns-backend=SAMBA_INTERNAL", "--adminpass="+adminPassword, "--host-name=dc1", "--host-ip="+d.Address, "--targetdir="+d.dir, "--use-rfc2307")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path("etc/smb.conf"), []byte(d.config()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(d.path("krb5.conf"), []byte(d.kerberosConfig()), 0o644)
}

// config is a controller that does LDAP and Kerberos and nothing else, inside its folder.
func (d *Domain) config() string {
	return strings.NewReplacer("DIR", d.dir, "ADDRESS", d.Address, "REALM", Realm, "WORKGROUP", NetBIOS).Replace(`[global]
  netbios name = DC1
  realm = REALM
  workgroup = WORKGROUP
  server role = active directory domain controller
  interfaces = ADDRESS/8
  bind interfaces only = yes
  server services = ldap, cldap, kdc
  dcerpc endpoint servers = none
  dns update command = /bin/true
  idmap_ldb:use rfc2307 = yes
  vfs objects =
  log level = 1
  log file = DIR/samba.log
  private dir = DIR/private
  lock directory = DIR
  state directory = DIR/state
  cache directory = DIR/cache
  pid directory = DIR/run
  ncalrpc dir = DIR/run/ncalrpc
  winbindd socket directory = DIR/run/winbindd
  ntp signd socket directory = DIR/run/ntp_signd
  ldap server require strong auth = allow_sasl_over_tls
  tls enabled = yes
  tls keyfile = DIR/tls/key.pem
  tls certfile = DIR/tls/cert.pem
  tls cafile = DIR/tls/ca.pem
`)
}

func (d *Domain) kerberosConfig() string {
	return strings.NewReplacer("DIR", d.dir, "ADDRESS", d.Address, "REALM", Realm, "DNS", DNSName).Replace(`[libdefaults]
  default_realm = REALM
  dns_lookup_realm = false
  dns_lookup_kdc = false
  rdns = false
  dns_canonicalize_hostname = false
  udp_preference_limit = 1
[realms]
  REALM = {
    kdc = ADDRESS:88
  }
[domain_realm]
  .DNS = REALM
  DNS = REALM
`)
}

// certify gives the controller a new certificate of a new authority. Samba's library wants an RSA key.
func (d *Domain) certify() error {
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test domain authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	root, err := x509.CreateCertificate(rand.Reader, ca, ca, &authority.PublicKey, authority)
	if err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: Host}, DNSNames: []string{Host}, IPAddresses: []net.IP{net.ParseIP(d.Address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, authority)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	d.CA = encode("CERTIFICATE", root)
	if err := os.MkdirAll(d.path("tls"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"key.pem": encode("PRIVATE KEY", private), "cert.pem": encode("CERTIFICATE", cert), "ca.pem": d.CA} {
		if err := os.WriteFile(d.path("tls/"+name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// Authority makes the certificate, in PEM, of an authority that has nothing to do with the domain.
func Authority(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Another authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der)
}
