package letter

import (
	"context"
	"net/url"

	"odcm"
	"odcm/kit/mail"
	"odcm/manager/identity/person"
)

func (s *Service) subject(p Purpose) string {
	switch p {
	case Invitation:
		return "You are invited to " + s.o.Product
	case Verification:
		return "Confirm your e-mail address for " + s.o.Product
	}
	return "Choose a new password for " + s.o.Product
}

// host is where the link leads, for people who look before they click.
func (s *Service) host() string {
	u, err := url.Parse(s.o.PublicURL())
	if err != nil {
		return s.o.PublicURL()
	}
	return u.Host
}

func (s *Service) compose(p Purpose, u person.User, by odcm.Principal, link string) mail.Letter {
	l := mail.Letter{Product: s.o.Product, Link: link}
	switch p {
	case Invitation:
		l.Heading = "Welcome, " + u.DisplayName
		l.Lines = []string{by.Name + " invites you to " + s.o.Product + " at " + s.host() + ", where your Octopus Deploy Spaces are one click apart.",
			"Sign in with the account that you have already, or choose a password."}
		l.Button = "Accept the invitation"
		l.After = []string{"The link works once, within 7 days.", "If you do not know what this is about, do nothing: nobody can get in without this link."}
	case Verification:
		l.Heading = "Is this your address?"
		l.Lines = []string{u.Username + " has entered this address in " + s.o.Product + " at " + s.host() + ".", "If that was you, confirm it while you are signed in."}
		l.Button = "Confirm the address"
		l.After = []string{"The link works once, within 24 hours.", "If it was not you, do nothing: the address stays unconfirmed."}
	default:
		l.Heading = "A new password"
		l.Lines = []string{"Someone asked for a new password for " + u.Username + " in " + s.o.Product + " at " + s.host() + "."}
		l.Button = "Choose a new password"
		l.After = []string{"The link works once, within an hour. It signs you out everywhere.", "If it was not you, do nothing: your password stays as it is."}
	}
	return l
}

// TestMail sends a mail to the principal's own main address and explains what is wrong. It needs the action "mail.test".
func (s *Service) TestMail(ctx context.Context, p odcm.Principal) (to string, err error) {
	defer odcm.Wrap(&err, "test mail")
	if err := s.o.Authorizer.Authorize(ctx, p, "mail.test", ""); err != nil {
		return "", err
	}
	if s.o.Sender == nil {
		return "", noMail()
	}
	who, err := s.o.People.Person(ctx, p, p.User)
	if err != nil {
		return "", err
	}
	if to = who.Email().Address; to == "" {
		return "", odcm.E(odcm.Invalid, "letter.no-address", "You have no e-mail address to send it to: add one on your profile page.")
	}
	l := mail.Letter{Product: s.o.Product, Heading: "Mail works", Lines: []string{s.o.Product + " at " + s.host() + " can send mail."}}
	m, err := l.Message(to, "Test of mail from "+s.o.Product)
	if err != nil {
		return "", err
	}
	return to, s.o.Sender.Send(ctx, odcm.NewID[string]("mail"), m)
}

// Server describes the mail server without its password; "" where there is none.
func (s *Service) Server() string {
	if s.o.Sender == nil {
		return ""
	}
	return s.o.Sender.Server().String()
}

func noMail() error {
	return odcm.E(odcm.Unavailable, "letter.no-mail", "No mail server is set up here: ask an administrator, who can give you a link.")
}
