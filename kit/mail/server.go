package mail

import (
	"crypto/x509"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"

	"odcm"
)

// Security says whether the way to the server is encrypted.
type Security string

// The ways to talk to a server.
const (
	Mandatory     Security = "mandatory"     // STARTTLS (RFC 3207), or nothing is sent
	Opportunistic Security = "opportunistic" // STARTTLS where the server has it
	None          Security = "none"
	Implicit      Security = "implicit" // TLS from the first byte (RFC 8314 section 3.3)
)

// Server is where mail is handed in, and from whom it comes.
type Server struct {
	Host     string
	Port     int
	Username string // empty: without signing in
	Password string
	Security Security
	From     netmail.Address
	Roots    *x509.CertPool // the system's if nil
}

// Parse reads "smtp://user:password@host:587?tls=mandatory", with tls one of mandatory (the default), opportunistic and
// none, or "smtps://host". From is the sender, "ODCM <odcm@example.com>". The password is in no error.
func Parse(rawURL, from string) (Server, error) {
	invalid := func(format string, args ...any) (Server, error) {
		return Server{}, odcm.E(odcm.Invalid, "mail.url-invalid", format+" Want, say, smtp://user:password@mail.example.com:587", args...)
	}
	u, err := url.Parse(rawURL)
	if err != nil { // whose text would show the password
		return invalid("The mail server is not a URL; characters of a password such as @ and / are written as %%40 and %%2F.")
	}
	s := Server{Host: u.Hostname(), Username: u.User.Username()}
	s.Password, _ = u.User.Password()
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil || u.Opaque != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return invalid("The URL of the mail server has parts that mean nothing here.")
	case s.Host == "" || strings.ContainsAny(s.Host, " \r\n\t"):
		return invalid("The URL of the mail server names no host.")
	}
	for name := range query {
		if name != "tls" || u.Scheme != "smtp" {
			return invalid("The URL of the mail server has the option %q, which is not known.", name)
		}
	}
	switch u.Scheme {
	case "smtp":
		s.Port, s.Security = 587, Security(query.Get("tls"))
		switch s.Security {
		case "":
			s.Security = Mandatory
		case Mandatory, Opportunistic, None:
		default:
			return invalid("tls=%s is not known: use mandatory, opportunistic or none.", s.Security)
		}
	case "smtps":
		s.Port, s.Security = 465, Implicit
	default:
		return invalid("The URL of the mail server begins with smtp:// or smtps://.")
	}
	if text := u.Port(); text != "" {
		if s.Port, err = strconv.Atoi(text); err != nil || s.Port < 1 || s.Port > 65535 {
			return invalid("The port %s is none.", text)
		}
	}
	sender, err := netmail.ParseAddress(from)
	if err == nil {
		sender.Address, err = ParseAddress(sender.Address)
	}
	if err != nil || strings.ContainsFunc(sender.Name, control) {
		return Server{}, odcm.E(odcm.Invalid, "mail.from-invalid", "The sender of mail is not an address: want, say, ODCM <odcm@example.com>")
	}
	s.From = *sender
	return s, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// String is for logs and pages: without the password.
func (s Server) String() string {
	u := url.URL{Scheme: "smtp", Host: s.Host + ":" + strconv.Itoa(s.Port)}
	if s.Security == Implicit {
		u.Scheme = "smtps"
	} else {
		u.RawQuery = "tls=" + string(s.Security)
	}
	if s.Username != "" {
		u.User = url.User(s.Username)
	}
	return u.String()
}

// GoString keeps the password out of %#v too.
func (s Server) GoString() string { return s.String() }
