package egress

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Octopus shows thumbprints as SHA-1; a second certificate with the same one cannot be made
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"strings"

	"odcm"
)

// TLS says whom to trust. The zero TLS trusts the authorities that this machine trusts.
type TLS struct {
	// CA is one or more PEM certificates of authorities, trusted instead of this machine's.
	CA string `json:"ca,omitempty"`
	// Thumbprint pins the server's own certificate, as Octopus shows thumbprints: the SHA-1 (40 digits) or SHA-256 (64)
	// of the certificate in hex, in any case, with spaces or colons or without. A pinned certificate needs no authority,
	// may be past its date and may bear any name: it is that one or none.
	Thumbprint string `json:"thumbprint,omitempty"`
}

var separators = strings.NewReplacer(" ", "", ":", "", "-", "", "\u200e", "")

// normal brings equal settings into one form.
func (t TLS) normal() (TLS, error) {
	t.CA = strings.TrimSpace(t.CA)
	t.Thumbprint = strings.ToUpper(separators.Replace(t.Thumbprint))
	if t.Thumbprint == "" {
		return t, nil
	}
	if raw, err := hex.DecodeString(t.Thumbprint); err != nil || (len(raw) != sha1.Size && len(raw) != sha256.Size) {
		return t, odcm.E(odcm.Invalid, "egress.thumbprint",
			"The thumbprint is not one: give 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.").OnField("thumbprint")
	}
	return t, nil
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, odcm.E(odcm.Invalid, "egress.ca",
				"There is no certificate in the CA: give it as PEM text, from BEGIN CERTIFICATE to END CERTIFICATE.").OnField("ca")
		}
	}
	if t.Thumbprint != "" {
		config.InsecureSkipVerify = true // the pin is the verification; VerifyConnection runs on resumed sessions too
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return t.verifyPin(state.PeerCertificates[0])
		}
	}
	return config, nil
}

func (t TLS) verifyPin(cert *x509.Certificate) error {
	want, _ := hex.DecodeString(t.Thumbprint)               // normal has checked it
	one, two := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw) //nolint:gosec // see the import
	if bytes.Equal(want, one[:]) || bytes.Equal(want, two[:]) {
		return nil
	}
	return odcm.E(odcm.Unavailable, "egress.tls",
		"The server's certificate is not the pinned one: its thumbprint is %s (SHA-256 %s), of %q. If the server got a new certificate, pin that one.",
		Thumbprint(cert), hex.EncodeToString(two[:]), cert.Subject.CommonName)
}

// Thumbprint returns a certificate's SHA-1 in capital hexadecimal digits, as Octopus shows it.
func Thumbprint(cert *x509.Certificate) string {
	sum := sha1.Sum(cert.Raw) //nolint:gosec // see the import
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
