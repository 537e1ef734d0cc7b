package letter

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
)

// AskToVerify mails a link to one of the principal's own addresses.
func (s *Service) AskToVerify(ctx context.Context, p odcm.Principal, address string) (err error) {
	defer odcm.Wrap(&err, "ask to verify an address")
	if !s.Mails() {
		return odcm.E(odcm.Unavailable, "letter.no-mail", "No mail server is set up here: an administrator can mark the address as verified.")
	}
	who, err := s.o.People.Person(ctx, p, p.User)
	if err != nil {
		return err
	}
	for _, e := range who.Emails {
		if person.EmailKey(e.Address) == person.EmailKey(address) && p.User != person.Guest {
			_, err := s.write(ctx, p, Verification, who.User, e.Address)
			return err
		}
	}
	return odcm.E(odcm.NotFound, "letter.no-address", "You have no such address.")
}

// Verify uses a link. Only the user whose address it is may: or somebody could have others confirm an address as his.
func (s *Service) Verify(ctx context.Context, p odcm.Principal, secret string) (address string, err error) {
	defer odcm.Wrap(&err, "verify an address")
	l, who, err := s.Look(ctx, Verification, secret)
	if err != nil {
		return "", err
	}
	if p.User != l.User {
		return "", odcm.E(odcm.Denied, "letter.not-yours", "This link is for %s: sign in as that user to confirm the address.", who.Username)
	}
	if l, err = s.use(ctx, Verification, secret); err != nil {
		return "", err
	}
	return l.Address, s.o.People.VerifyEmail(ctx, odcm.System, l.User, l.Address)
}
