package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"odcm"
)

// Message is one mail to one person. HTML may be empty.
type Message struct {
	To       string
	Subject  string
	Text     string
	HTML     string
	Pictures []Picture // that the HTML shows, each as cid:ID
}

// Picture is a PNG that travels with a message, so that reading it loads nothing from anywhere.
type Picture struct {
	ID  string // letters, digits, "-" and "."
	PNG []byte
}

// Sender sends by one server. It is safe for concurrent use.
type Sender struct {
	server Server
	within time.Duration
}

// NewSender makes a sender that gives up a message after within (30 s if zero).
func NewSender(s Server, within time.Duration) *Sender {
	if within == 0 {
		within = 30 * time.Second
	}
	return &Sender{server: s, within: within}
}

// Server tells where to.
func (s *Sender) Server() Server { return s.server }

const (
	maxSubject  = 200     // characters
	maxPictures = 4 << 20 // bytes of all: the message is kept until it is sent
)

var pictureID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$`)

// validate refuses what could add a header or a second recipient. go-mail encodes headers too: this does not rely on it.
func (m Message) validate() error {
	if _, err := ParseAddress(m.To); err != nil {
		return odcm.E(odcm.Invalid, "mail.address-invalid", "The recipient is not an e-mail address.")
	}
	if m.Subject == "" || utf8.RuneCountInString(m.Subject) > maxSubject || strings.ContainsFunc(m.Subject, control) || !utf8.ValidString(m.Subject) {
		return odcm.E(odcm.Invalid, "mail.subject-invalid", "The subject is empty, too long, or has a line break.")
	}
	size := 0
	for _, p := range m.Pictures {
		if size += len(p.PNG); !pictureID.MatchString(p.ID) || size > maxPictures {
			return odcm.E(odcm.Invalid, "mail.picture-invalid", "The pictures are too large, or one has a name that none can have.")
		}
	}
	return nil
}

// Send hands the message in. Id becomes part of the Message-ID, so that a message that was sent twice can be known. Errors are
// odcm.Invalid where the server will never take this message, odcm.Unavailable otherwise, with what to do about it.
func (s *Sender) Send(ctx context.Context, id string, m Message) error {
	if err := m.validate(); err != nil {
		return err
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(&s.server.From)
	if err := msg.To(m.To); err != nil {
		return odcm.E(odcm.Invalid, "mail.address-invalid", "The recipient is not an e-mail address.").Because(err)
	}
	_, domain, _ := strings.Cut(s.server.From.Address, "@")
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetDate()
	// Nobody's holiday notice is to be sent back to a program (RFC 3834 section 5).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	for _, p := range m.Pictures {
		if err := msg.EmbedReader(p.ID+".png", bytes.NewReader(p.PNG), gomail.WithFileContentID("<"+p.ID+">"), gomail.WithFileContentType("image/png")); err != nil {
			return odcm.E(odcm.Invalid, "mail.picture-invalid", "A picture cannot be sent.").Because(err)
		}
	}
	return s.with(ctx, func(ctx context.Context, c *gomail.Client) error { return c.DialAndSendWithContext(ctx, msg) })
}

// Test signs in to the server and leaves, without sending anything, and explains what is wrong.
func (s *Sender) Test(ctx context.Context) error {
	return s.with(ctx, func(ctx context.Context, c *gomail.Client) error {
		if err := c.DialWithContext(ctx); err != nil {
			return err
		}
		return c.Close()
	})
}

func (s *Sender) with(ctx context.Context, do func(context.Context, *gomail.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	v := s.server
	o := []gomail.Option{gomail.WithPort(v.Port), gomail.WithTimeout(s.within),
		gomail.WithTLSConfig(&tls.Config{ServerName: v.Host, MinVersion: tls.VersionTLS12, RootCAs: v.Roots})}
	switch v.Security {
	case Implicit:
		o = append(o, gomail.WithSSL())
	case Opportunistic:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case None:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if v.Username != "" {
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(v.Username), gomail.WithPassword(v.Password))
	}
	c, err := gomail.NewClient(v.Host, o...)
	if err == nil {
		err = do(ctx, c)
	}
	return s.explain(ctx, err)
}

// explain says what went wrong and what to do. What the server wrote is in the cause only: it may repeat what it was sent.
func (s *Sender) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	v := s.server
	at := fmt.Sprintf("The mail server %s:%d", v.Host, v.Port)
	var refused *gomail.SendError
	var unknownCA *tls.CertificateVerificationError
	var plainTLS tls.RecordHeaderError
	var dns *net.DNSError
	text := err.Error()
	e := func(kind odcm.Kind, code, message string) error {
		return odcm.E(kind, code, "%s %s", at, message).Because(err)
	}
	switch {
	case errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 && (refused.Reason == gomail.ErrSMTPRcptTo || refused.Reason == gomail.ErrSMTPData || refused.Reason == gomail.ErrSMTPDataClose):
		return e(odcm.Invalid, "mail.refused", fmt.Sprintf("refuses the message for good (%d %s).", refused.ErrorCode(), refused.EnhancedStatusCode()))
	case errors.As(err, &refused):
		return e(odcm.Unavailable, "mail.not-taken", fmt.Sprintf("does not take the message now (%d): is %s allowed to send there?", refused.ErrorCode(), v.From.Address))
	case errors.As(err, &dns):
		return e(odcm.Unavailable, "mail.dns", "has no address: is its name right?")
	case errors.As(err, &unknownCA):
		return e(odcm.Unavailable, "mail.certificate", "shows a certificate that is not trusted here: add its authority to the system's.")
	case errors.As(err, &plainTLS):
		return e(odcm.Unavailable, "mail.tls", "does not speak TLS there: smtps:// is for port 465, smtp:// for 587.")
	case strings.Contains(text, "STARTTLS"):
		return e(odcm.Unavailable, "mail.no-starttls", "offers no STARTTLS: add ?tls=opportunistic or ?tls=none if the way there is safe.")
	case strings.Contains(text, "535") || strings.Contains(strings.ToLower(text), "auth"):
		return e(odcm.Unavailable, "mail.sign-in", "does not accept the username and password.")
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return e(odcm.Unavailable, "mail.timeout", fmt.Sprintf("did not answer within %s: is a firewall between?", s.within))
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return e(odcm.Unavailable, "mail.unreachable", "cannot be reached: "+op.Err.Error())
	}
	return e(odcm.Unavailable, "mail.failed", "did not take the message.")
}
