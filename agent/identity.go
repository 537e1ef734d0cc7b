package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"odcm"
	"odcm/agent/folder"
	"odcm/agentapi"
)

// credentials prove the machine to the manager and the manager to the machine. Key is there before the first enrolment,
// so that a token whose answer was lost can be used again with the same key.
type credentials struct {
	Server      string `json:"server"`
	Key         []byte `json:"key"`         // PKCS #8 in DER
	Certificate []byte `json:"certificate"` // X.509 in DER
	Authority   []byte `json:"authority"`   // X.509 in DER

	key       *ecdsa.PrivateKey
	leaf      *x509.Certificate
	authority *x509.Certificate
}

// loadCredentials reads them, or makes a key where there are none.
func loadCredentials(path string) (_ *credentials, err error) {
	defer odcm.Wrap(&err, "the agent's identity %s", path)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newCredentials(path)
	}
	if err != nil {
		return nil, err
	}
	var c credentials
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	return &c, c.parse()
}

func newCredentials(path string) (*credentials, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &credentials{key: key}
	if c.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, err
	}
	return c, c.save(path)
}

func (c *credentials) save(path string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return folder.Write(path, data)
}

func (c *credentials) parse() error {
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		return err
	}
	var ok bool
	if c.key, ok = key.(*ecdsa.PrivateKey); !ok {
		return fmt.Errorf("its key is a %T", key)
	}
	if !c.enrolled() {
		return nil
	}
	if c.leaf, err = x509.ParseCertificate(c.Certificate); err != nil {
		return err
	}
	if !c.key.PublicKey.Equal(c.leaf.PublicKey) {
		return errors.New("its certificate is for another key")
	}
	c.authority, err = x509.ParseCertificate(c.Authority)
	return err
}

func (c *credentials) enrolled() bool { return c.Server != "" }

// due tells whether a third of the certificate's time is over.
func (c *credentials) due(now time.Time) bool {
	return now.Sub(c.leaf.NotBefore) > c.leaf.NotAfter.Sub(c.leaf.NotBefore)/3
}

// expired tells whether the machine was away for so long that it has to enrol again.
func (c *credentials) expired(now time.Time) bool { return now.After(c.leaf.NotAfter) }

func (c *credentials) request() ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, c.key)
}

// tls shows the certificate and believes the authority alone, under the one name that it gives its listeners.
func (c *credentials) tls() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(c.authority)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: agentapi.ManagerName,
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.Certificate}, PrivateKey: c.key, Leaf: c.leaf}}}
}

// firstContact believes the one authority that has the token's fingerprint, which the listener sends along.
func firstContact(fingerprint [sha256.Size]byte) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: agentapi.ManagerName,
		InsecureSkipVerify: true, // replaced by VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, certificate := range s.PeerCertificates {
				if sum := sha256.Sum256(certificate.Raw); bytes.Equal(sum[:], fingerprint[:]) {
					pool := x509.NewCertPool()
					pool.AddCert(certificate)
					_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: agentapi.ManagerName})
					return err
				}
			}
			return errors.New("this is not the manager that made the token")
		}}
}

// transport is how the agent reaches the manager. Pings find a dead connection that nobody closed.
func transport(c *tls.Config) *http.Transport {
	return &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: c, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 2 * time.Minute,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}}
}

// enrol trades the token for a certificate. It changes c only when that is on the disk.
func (a *Agent) enrol(ctx context.Context, c *credentials) (_ *credentials, err error) {
	defer odcm.Wrap(&err, "enrol")
	if a.Token == nil {
		return nil, odcm.E(odcm.Unauthenticated, "agent.no-token", "This machine is not enrolled, or not any more: start the agent with a token made in ODCM under Servers.")
	}
	text, err := a.Token(ctx)
	if err != nil {
		return nil, err
	}
	token, err := agentapi.ParseToken(text)
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "agent.token", "%s", err)
	}
	request, err := c.request()
	if err != nil {
		return nil, err
	}
	t := transport(firstContact(token.Authority))
	defer t.CloseIdleConnections()
	answer, err := a.client(t).Enrol(ctx, newRequest(&agentapi.EnrolRequest{
		Protocol: agentapi.ProtocolVersion, Token: text, Csr: request, Name: a.Name, AgentVersion: a.Version}))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(answer.Msg.Authority); sum != token.Authority {
		return nil, errors.New("the manager answered with another authority than the token's")
	}
	enrolled := &credentials{Server: answer.Msg.ServerId, Key: c.Key, Certificate: answer.Msg.Certificate, Authority: answer.Msg.Authority}
	if err := enrolled.parse(); err != nil {
		return nil, err
	}
	a.step("enrolled")
	return enrolled, enrolled.save(a.folder.Identity())
}
