package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"odcm"
)

// How long certificates are valid. The authority outlives any machine. An agent renews its certificate when a third of
// its time is over, so a machine may be switched off for weeks and still come back; shutting one out does not wait for
// the certificate's end, because its key is looked up at each call.
const (
	authorityLife = 20 * 365 * 24 * time.Hour
	agentLife     = 30 * 24 * time.Hour
	managerLife   = 30 * 24 * time.Hour
	clockSkew     = time.Hour // machines whose clocks are behind
)

// Sealer keeps secrets (kit/seal). What was sealed with one associated data cannot be opened with another.
type Sealer interface {
	Seal(plain []byte, associated string) (string, error)
	Open(sealed, associated string) ([]byte, error)
}

const authoritySeal = "fleet_authority/key"

// authority is the fleet's certificate authority, ready to sign.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newAuthority makes one. Its certificate may sign others, but no other authorities (RFC 5280, section 4.2.1.9).
func newAuthority(sealer Sealer, now time.Time) (Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Authority{}, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ODCM fleet"}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLife), SerialNumber: serial(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return Authority{}, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Authority{}, err
	}
	sealed, err := sealer.Seal(plain, authoritySeal)
	if err != nil {
		return Authority{}, err
	}
	return Authority{Certificate: der, SealedKey: sealed, Created: now}, nil
}

func openAuthority(sealer Sealer, a Authority) (_ *authority, err error) {
	defer odcm.Wrap(&err, "open the fleet's authority")
	plain, err := sealer.Open(a.SealedKey, authoritySeal)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("its key is a %T", parsed)
	}
	certificate, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key}, nil
}

// agent signs a client certificate for the server. Of the request only the key counts: names come from us.
func (a *authority) agent(key *ecdsa.PublicKey, server odcm.ServerID, now time.Time) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: pkix.Name{CommonName: string(server)}, SerialNumber: serial(), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(agentLife),
	}, a.certificate, key, a.key)
}

// manager makes the certificate of a listener. Every replica makes its own and keeps it in memory only. Agents cannot use
// theirs in its place: the extended key usage tells the two apart (RFC 5280, section 4.2.1.12).
func (a *authority) manager(name string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, SerialNumber: serial(), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(managerLife),
	}, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	// The authority goes along because an enrolling agent knows it by its fingerprint only.
	return &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// readRequest checks a certificate request (RFC 2986): that it is signed by its own key, and that the key is of the one
// kind that we use.
func readRequest(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > 4096 {
		return nil, errors.New("too large")
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("its key is not ECDSA on P-256")
	}
	return key, nil
}

// KeyOf is the name under which a server's row keeps the public key of its certificates.
func KeyOf(key any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// serial is unique without being counted: 127 random bits (RFC 5280, section 4.1.2.2, allows 20 octets).
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}
