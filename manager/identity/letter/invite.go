package letter

import (
	"context"
	"errors"
	"strings"

	"odcm"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Invite is who is to be let in from outside.
type Invite struct {
	Email       string
	Username    string // the address if empty
	DisplayName string
	Roles       []odcm.Role // member if empty
	Groups      []odcm.GroupID
}

// Invite makes a user who can do nothing yet, puts him into groups, and writes to him. It needs the actions "user.invite" and
// "user.create". Link is set where it is for the administrator to hand over.
func (s *Service) Invite(ctx context.Context, p odcm.Principal, n Invite) (_ person.User, link string, err error) {
	defer odcm.Wrap(&err, "invite")
	if err := s.o.Authorizer.Authorize(ctx, p, "user.invite", ""); err != nil {
		return person.User{}, "", err
	}
	if len(n.Groups) > 0 && s.o.Groups == nil {
		return person.User{}, "", odcm.E(odcm.Unsupported, "letter.no-groups", "There are no groups here.").OnField("groups")
	}
	n.Email = strings.TrimSpace(n.Email)
	if n.Email == "" {
		return person.User{}, "", odcm.E(odcm.Invalid, "letter.email-missing", "Say where to write to.").OnField("email")
	}
	same, err := s.o.People.UsersByEmail(ctx, n.Email)
	if err != nil {
		return person.User{}, "", err
	}
	if len(same) > 0 {
		return person.User{}, "", odcm.E(odcm.Exists, "letter.known", "%s has this address already.", same[0].Username).OnField("email")
	}
	if n.Username == "" {
		n.Username = n.Email
		if len(n.Username) > 64 {
			n.Username, _, _ = strings.Cut(n.Email, "@")
		}
	}
	if len(n.Roles) == 0 {
		n.Roles = []odcm.Role{odcm.Member}
	}
	u, err := s.o.People.Create(ctx, p, identity.NewUser{Username: n.Username, DisplayName: n.DisplayName, Email: n.Email, Roles: n.Roles})
	if err != nil {
		return u, "", err
	}
	if len(n.Groups) > 0 {
		if err := s.o.Groups.Join(ctx, p, u.ID, n.Groups); err != nil {
			return person.User{}, "", errors.Join(onGroups(err), s.takeBack(ctx, u))
		}
	}
	link, err = s.write(ctx, p, Invitation, u, n.Email)
	return u, link, err
}

// onGroups points at the field.
func onGroups(err error) error {
	var e *odcm.Error
	if errors.As(err, &e) && len(e.Fields) == 0 {
		return odcm.E(e.Kind, e.Code, "%s", e.Message).OnField("groups").Because(e.Cause)
	}
	return err
}

// takeBack deletes a user who was just made and could not be put where he should be: the next try finds his name free.
func (s *Service) takeBack(ctx context.Context, u person.User) error {
	ctx = context.WithoutCancel(ctx)
	off := true
	u, err := s.o.People.Update(ctx, odcm.System, u.ID, u.Revision, identity.Change{Disabled: &off})
	if err != nil {
		return err
	}
	return s.o.People.Delete(ctx, odcm.System, u.ID, u.Revision)
}

// InviteAgain writes to a user who has not come yet; the link of before stops working when this one is used. It needs the
// action "user.invite".
func (s *Service) InviteAgain(ctx context.Context, p odcm.Principal, id odcm.UserID) (link string, err error) {
	defer odcm.Wrap(&err, "invite user %s again", id)
	if err := s.o.Authorizer.Authorize(ctx, p, "user.invite", string(id)); err != nil {
		return "", err
	}
	who, err := s.o.People.Person(ctx, p, id)
	switch {
	case err != nil:
		return "", err
	case who.Disabled || id == person.Guest:
		return "", odcm.E(odcm.Conflict, "letter.user-disabled", "%s is deactivated.", who.Username)
	case who.HasPassword || len(who.Identities) > 0:
		return "", odcm.E(odcm.Conflict, "letter.came", "%s can sign in already.", who.Username)
	}
	return s.write(ctx, p, Invitation, who.User, who.Email().Address)
}

// Accept takes up an invitation with a password, and signs in.
func (s *Service) Accept(ctx context.Context, secret, password string, from session.Client) (cookie string, _ session.Session, err error) {
	defer odcm.Wrap(&err, "accept invitation")
	_, who, err := s.Look(ctx, Invitation, secret)
	if err != nil {
		return "", session.Session{}, err
	}
	if err := s.o.People.PasswordFits(password, who.User); err != nil { // before the link is used up
		return "", session.Session{}, err
	}
	l, err := s.use(ctx, Invitation, secret)
	if err != nil {
		return "", session.Session{}, err
	}
	if err := s.o.People.SetPassword(ctx, odcm.System, l.User, password); err != nil {
		return "", session.Session{}, err
	}
	if err := s.proved(ctx, l); err != nil {
		return "", session.Session{}, err
	}
	return s.o.People.SignIn(ctx, identity.Credentials{Username: who.Username, Password: password, From: from})
}

// AcceptBy takes up an invitation with the account that a provider vouches for, and signs in.
func (s *Service) AcceptBy(ctx context.Context, secret string, a person.Assertion, from session.Client) (cookie string, _ session.Session, err error) {
	defer odcm.Wrap(&err, "accept invitation by provider %s", a.Provider)
	if _, _, err := s.Look(ctx, Invitation, secret); err != nil {
		return "", session.Session{}, err
	}
	if owner, err := s.o.People.Owner(ctx, a.Provider, a.Subject); err != nil {
		return "", session.Session{}, err
	} else if owner != "" {
		return "", session.Session{}, odcm.E(odcm.Conflict, "letter.account-known",
			"You are known here by this account already: sign in with it. The invitation still works for another account.")
	}
	l, err := s.use(ctx, Invitation, secret)
	if err != nil {
		return "", session.Session{}, err
	}
	if _, err := s.o.People.Link(ctx, odcm.System, l.User, a); err != nil {
		return "", session.Session{}, err
	}
	if err := s.proved(ctx, l); err != nil {
		return "", session.Session{}, err
	}
	return s.o.People.SignInBy(ctx, a, from)
}

// proved keeps that whoever has the link reads the address.
func (s *Service) proved(ctx context.Context, l Letter) error {
	if l.Address == "" {
		return nil
	}
	err := s.o.People.VerifyEmail(ctx, odcm.System, l.User, l.Address)
	if odcm.KindOf(err) == odcm.NotFound { // it was removed meanwhile
		return nil
	}
	return err
}
