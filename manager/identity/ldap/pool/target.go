package pool

import "crypto/tls"

// Target says which servers, and as whom.
type Target struct {
	Name     string   // of the directory, for messages
	Servers  []string // host:port
	Security Security
	TLS      *tls.Config // nil where plain; its ServerName is filled in per server where empty
	User     string
	Password string
}

// Security is how a connection is encrypted.
type Security string

// The ways to encrypt.
const (
	OverTLS  Security = "ldaps" // TLS from the first byte
	StartTLS Security = "starttls"
	Plain    Security = "none"
)

// Port is where servers listen for it.
func (s Security) Port() string {
	if s == OverTLS {
		return "636"
	}
	return "389"
}
