package letter

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Forgot mails a link to whoever has the username or the verified address, if he has a password to lose and a verified
// address to write to. The answer is the same, and takes as long, whether somebody is known or not: nil, unless mail is not set
// up or this place asks too often.
func (s *Service) Forgot(ctx context.Context, ref string, from session.Client) (err error) {
	defer odcm.Wrap(&err, "forgot password")
	if !s.Mails() {
		return noMail()
	}
	if err := s.o.People.Throttle(ctx, "reset", from); err != nil {
		return err
	}
	timer := time.NewTimer(s.o.Pace)
	defer timer.Stop()
	if err := s.remind(ctx, ref, from); err != nil && ctx.Err() == nil {
		s.o.Logger.Error("a link to a new password was not mailed", "error", err)
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

func (s *Service) remind(ctx context.Context, ref string, from session.Client) error {
	users, err := s.o.People.UsersByEmail(ctx, ref)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		who, err := s.o.People.FindPerson(ctx, ref)
		if odcm.KindOf(err) == odcm.NotFound {
			return nil
		} else if err != nil {
			return err
		}
		users = []person.User{who.User}
	}
	ids := make([]odcm.UserID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	people, err := s.o.People.People(ctx, ids)
	if err != nil {
		return err
	}
	for _, who := range people {
		address, ok := reminded(who, ref)
		if !ok {
			continue
		}
		_, err := s.write(ctx, odcm.Principal{Name: "someone", Address: from.Address}, Reset, who.User, address)
		if err != nil && odcm.CodeOf(err) != "letter.too-many" {
			return err
		}
	}
	return nil
}

// reminded tells where to write to: the address that was typed, else the main one.
func reminded(who person.Person, ref string) (address string, ok bool) {
	if who.Disabled || !who.HasPassword || who.ID == person.Guest {
		return "", false
	}
	for _, e := range who.Emails {
		if e.Verified.IsZero() {
			continue
		}
		if address == "" || person.EmailKey(e.Address) == person.EmailKey(ref) {
			address = e.Address
		}
	}
	return address, address != ""
}

// Offer gives a user the means to choose a new password, mailed or, where that cannot be, for the administrator to hand over.
// It needs the action "user.update".
func (s *Service) Offer(ctx context.Context, p odcm.Principal, id odcm.UserID) (link string, err error) {
	defer odcm.Wrap(&err, "offer user %s a new password", id)
	if err := s.o.Authorizer.Authorize(ctx, p, "user.update", string(id)); err != nil {
		return "", err
	}
	who, err := s.o.People.Person(ctx, p, id)
	if err != nil {
		return "", err
	}
	if who.Disabled || id == person.Guest {
		return "", odcm.E(odcm.Conflict, "letter.user-disabled", "%s is deactivated.", who.Username)
	}
	address := who.Email()
	if address.Verified.IsZero() {
		address = person.Email{} // it may be somebody else's
	}
	return s.write(ctx, p, Reset, who.User, address.Address)
}

// ChoosePassword uses a link. It ends all sessions of the user.
func (s *Service) ChoosePassword(ctx context.Context, secret, password string) (_ person.User, err error) {
	defer odcm.Wrap(&err, "choose a new password")
	_, who, err := s.Look(ctx, Reset, secret)
	if err != nil {
		return person.User{}, err
	}
	if err := s.o.People.PasswordFits(password, who.User); err != nil { // before the link is used up
		return person.User{}, err
	}
	l, err := s.use(ctx, Reset, secret)
	if err != nil {
		return person.User{}, err
	}
	return who.User, s.o.People.SetPassword(ctx, odcm.System, l.User, password)
}
