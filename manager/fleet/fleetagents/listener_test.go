package fleetagents_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"odcm/agentapi"
	"odcm/agentapi/agentapiconnect"
	"odcm/kit/db/dbtest"
	"odcm/manager/fleet/fleettest"
)

// machine is an agent's side of the wire without an agent.
type machine struct {
	key         *ecdsa.PrivateKey
	csr         []byte
	certificate []byte
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &machine{key: key, csr: csr}
}

func client(t *testing.T, f *fleettest.Fleet, m *machine, version uint16) agentapiconnect.AgentServiceClient {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(f.AuthorityCertificate())
	c := &tls.Config{RootCAs: roots, ServerName: agentapi.ManagerName, MaxVersion: version}
	if m != nil && m.certificate != nil {
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{m.certificate}, PrivateKey: m.key}}
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return agentapiconnect.NewAgentServiceClient(&http.Client{Transport: transport}, "https://"+f.Listener.Addr())
}

func (m *machine) enrol(t *testing.T, f *fleettest.Fleet, token string) error {
	t.Helper()
	answer, err := client(t, f, nil, 0).Enrol(t.Context(), connect.NewRequest(&agentapi.EnrolRequest{
		Protocol: agentapi.ProtocolVersion, Token: token, Csr: m.csr, Name: "machine", AgentVersion: "1.0.0"}))
	if err == nil {
		m.certificate = answer.Msg.Certificate
	}
	return err
}

func sync(t *testing.T, f *fleettest.Fleet, m *machine, change ...func(*agentapi.SyncRequest)) (*agentapi.SyncResponse, error) {
	t.Helper()
	r := &agentapi.SyncRequest{Protocol: agentapi.ProtocolVersion}
	for _, c := range change {
		c(r)
	}
	answer, err := client(t, f, m, 0).Sync(t.Context(), connect.NewRequest(r))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t, dbtest.Open(t, dbtest.SQLite(t)), fleettest.NewSealer(t), nil)
	token, err := f.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	if err := m.enrol(t, f, token); err != nil {
		t.Fatal(err)
	}
	t.Run("an enrolled machine is answered", func(t *testing.T) {
		if answer, err := sync(t, f, m); err != nil || answer.Desired == nil {
			t.Errorf("%v, %v", answer, err)
		}
	})
	t.Run("a token works once", func(t *testing.T) {
		if err := newMachine(t).enrol(t, f, token); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%v", err)
		}
	})
	t.Run("a token of another manager is refused", func(t *testing.T) {
		parsed, _ := agentapi.ParseToken(token)
		parsed.Authority[0] ^= 1
		if err := newMachine(t).enrol(t, f, parsed.String()); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%v", err)
		}
	})
	t.Run("a refusal does not repeat the token", func(t *testing.T) {
		err := newMachine(t).enrol(t, f, "odcm-enrol.SECRETSECRETSECRETSECRET")
		if err == nil || strings.Contains(err.Error(), "SECRETSECRET") {
			t.Errorf("%v", err)
		}
	})
	t.Run("without a certificate there is no answer", func(t *testing.T) {
		if _, err := sync(t, f, nil); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%v", err)
		}
	})
	t.Run("a certificate that another authority signed is refused", func(t *testing.T) {
		enrolled, err := x509.ParseCertificate(m.certificate)
		if err != nil {
			t.Fatal(err)
		}
		forger := newMachine(t)
		forger.certificate = signed(t, enrolled.Subject.CommonName, &forger.key.PublicKey, forger.key)
		if _, err := sync(t, f, forger); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("a certificate without its key is refused", func(t *testing.T) {
		thief := newMachine(t)
		thief.certificate = m.certificate
		if _, err := sync(t, f, thief); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("an agent cannot stand in for the manager", func(t *testing.T) {
		roots := x509.NewCertPool()
		roots.AddCert(f.AuthorityCertificate())
		certificate, err := x509.ParseCertificate(m.certificate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: agentapi.ManagerName}); err == nil {
			t.Error("its certificate is good for a listener")
		}
	})
	t.Run("TLS 1.2 is refused", func(t *testing.T) {
		_, err := client(t, f, m, tls.VersionTLS12).Sync(t.Context(), connect.NewRequest(&agentapi.SyncRequest{Protocol: agentapi.ProtocolVersion}))
		if err == nil {
			t.Error("accepted")
		}
	})
	t.Run("another protocol is told who is to be upgraded", func(t *testing.T) {
		_, err := sync(t, f, m, func(r *agentapi.SyncRequest) { r.Protocol = agentapi.ProtocolVersion + 1 })
		if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "upgrade the manager") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a certificate is renewed", func(t *testing.T) {
		answer, err := sync(t, f, m, func(r *agentapi.SyncRequest) { r.Csr = m.csr })
		if err != nil {
			t.Fatal(err)
		}
		renewed := &machine{key: m.key, certificate: answer.Certificate}
		if _, err := sync(t, f, renewed); err != nil {
			t.Error(err)
		}
	})
	t.Run("a report is answered without desired state", func(t *testing.T) {
		answer, err := sync(t, f, m, func(r *agentapi.SyncRequest) { r.Observed = &agentapi.Observed{Boot: "boot", Sequence: 1} })
		if err != nil || answer.Desired != nil {
			t.Errorf("%v, %v", answer, err)
		}
	})
	t.Run("stopping ends a held answer", func(t *testing.T) {
		known, err := sync(t, f, m)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := sync(t, f, m, func(r *agentapi.SyncRequest) { r.KnownRevision, r.WaitMilliseconds = known.Desired.Revision, 60_000 })
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond)
		if err := f.Listener.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("answered")
		}
	})
}

// signed is a certificate by an authority of the test's own.
func signed(t *testing.T, name string, key *ecdsa.PublicKey, authority *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "ODCM fleet"}, SerialNumber: big.NewInt(2), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, authority)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
