package identity

import (
	"context"
	"maps"
	"time"

	"odcm"
)

// IdentityID identifies a linked identity.
type IdentityID string

// Identity is one account at a provider with which a user signs in. A user may have several; an account has one user.
type Identity struct {
	ID       IdentityID
	User     odcm.UserID
	Provider odcm.ProviderID
	Subject  string // see [Assertion]

	// What the provider last said, at a sign-in or in a reading of the directory.
	Username      string
	DisplayName   string
	Email         string
	EmailVerified bool // by the provider, whose settings say that its word is enough
	Marks         map[string]string
	Gone          bool // the directory has it no more, or does not let it sign in

	Linked     time.Time
	LastSignIn time.Time // zero: never
}

func (i Identity) public() map[string]any {
	return map[string]any{"provider": i.Provider, "subject": i.Subject, "username": i.Username}
}

// says tells whether the provider said the same of the account before.
func (i Identity) says(o Identity) bool {
	return i.Username == o.Username && i.DisplayName == o.DisplayName && i.Email == o.Email &&
		i.EmailVerified == o.EmailVerified && i.Gone == o.Gone && maps.Equal(i.Marks, o.Marks)
}

// Linked returns subjects that are linked to the provider, sorted, after the one given: what a directory is asked about. It
// asks no authorizer.
func (s *Service) Linked(ctx context.Context, provider odcm.ProviderID, after string, limit int) (_ []string, err error) {
	defer odcm.Wrap(&err, "list subjects of provider %s", provider)
	return s.store.Subjects(ctx, provider, after, limit)
}

// Owner tells whose the account is; "" for nobody's yet. It asks no authorizer.
func (s *Service) Owner(ctx context.Context, provider odcm.ProviderID, subject string) (odcm.UserID, error) {
	_, u, err := s.store.IdentityBySubject(ctx, provider, subject)
	if odcm.KindOf(err) == odcm.NotFound {
		return "", nil
	}
	return u.ID, err
}

// Link gives the user one more identity: what the person himself proved by signing in with it, or an administrator decided.
// odcm.Exists "identity.linked-elsewhere" where it is somebody else's; linking it twice does nothing.
func (s *Service) Link(ctx context.Context, p odcm.Principal, user odcm.UserID, a Assertion) (_ Identity, err error) {
	defer odcm.Wrap(&err, "link identity to user %s", user)
	u, err := s.alive(ctx, p, "user.link", user)
	if err != nil {
		return Identity{}, err
	}
	if user == Guest {
		return Identity{}, odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in and nobody's: nothing can be linked to it.")
	}
	if err := a.tidy(); err != nil {
		return Identity{}, err
	}
	i := s.identityOf(u.ID, a)
	switch err := s.store.Link(ctx, i, s.linkedEvent(p, u, i, "asked")); {
	case odcm.CodeOf(err) == "identity.linked-elsewhere":
		old, owner, find := s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
		if find != nil {
			return Identity{}, find
		}
		if owner.ID != user {
			return Identity{}, err
		}
		return old, nil
	case err != nil:
		return Identity{}, err
	}
	s.forget(user)
	return i, s.assert(ctx, user, a)
}

// Unlink takes an identity from the user, and the addresses that it brought. The last way in of a person who has no
// password stays, unless the action "user.unlink-last" is permitted.
func (s *Service) Unlink(ctx context.Context, p odcm.Principal, user odcm.UserID, id IdentityID) (err error) {
	defer odcm.Wrap(&err, "unlink identity %s", id)
	if _, err := s.alive(ctx, p, "user.link", user); err != nil {
		return err
	}
	all, err := s.store.People(ctx, []odcm.UserID{user})
	if err != nil {
		return err
	}
	for _, person := range all {
		for _, i := range person.Identities {
			if i.ID != id {
				continue
			}
			if last := len(person.Identities) == 1 && !person.HasPassword; last && s.auth.Authorize(ctx, p, "user.link", string(user)) != nil {
				return odcm.E(odcm.Conflict, "identity.last-way-in", "This is the only way in that you have: link another or set a password first.")
			}
			e := odcm.NewEvent(p, "identity.unlinked", string(user), person.Username, i.public(), nil)
			if err := s.store.Unlink(ctx, user, id, e); err != nil {
				return err
			}
			s.forget(user)
			// Groups of the provider are none of his any more: what it says counts for its own accounts only.
			return s.assert(ctx, user, Assertion{Provider: i.Provider, GroupsKnown: !sharesProvider(person.Identities, i)})
		}
	}
	return odcm.E(odcm.NotFound, "identity.identity-not-found", "There is no such identity.")
}

func sharesProvider(all []Identity, i Identity) bool {
	for _, other := range all {
		if other.ID != i.ID && other.Provider == i.Provider {
			return true
		}
	}
	return false
}

func (s *Service) identityOf(user odcm.UserID, a Assertion) Identity {
	return Identity{ID: odcm.NewID[IdentityID]("identity"), User: user, Provider: a.Provider, Subject: a.Subject, Username: a.Username,
		DisplayName: a.DisplayName, Email: a.Email, EmailVerified: a.vouched(), Marks: a.Marks, Linked: s.now()}
}

// linkedEvent says by which rule: "asked", "verified-email", "new-user".
func (s *Service) linkedEvent(p odcm.Principal, u User, i Identity, rule string) odcm.Event {
	about := i.public()
	about["rule"] = rule
	return odcm.NewEvent(p, "identity.linked", string(u.ID), u.Username, nil, about)
}

// assert passes on what the provider says of groups.
func (s *Service) assert(ctx context.Context, user odcm.UserID, a Assertion) error {
	if s.groups == nil || !a.GroupsKnown {
		return nil
	}
	return s.groups.Assert(ctx, user, a.Provider, a.Groups)
}
