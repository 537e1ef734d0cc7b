package identity

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"odcm"
)

// User is a person who may sign in.
type User struct {
	ID          odcm.UserID
	Username    string // as it was typed; unique without regard to case
	DisplayName string
	Roles       []odcm.Role
	Disabled    bool
	DisabledBy  odcm.ProviderID // the directory that disabled the account; "" where an administrator did
	Deleted     time.Time       // zero: not; who is deleted is disabled too, and stays for the events that name him
	MergedInto  odcm.UserID     // who is the same person; "" for nobody
	Picture     string          // changes with the picture; "" where there is none
	Revision    int64
	Created     time.Time
	Updated     time.Time
}

// public is what of a user may stand in an event.
func (u User) public() map[string]any {
	about := map[string]any{"username": u.Username, "displayName": u.DisplayName, "roles": u.Roles, "disabled": u.Disabled}
	if u.DisabledBy != "" {
		about["disabledBy"] = u.DisabledBy
	}
	return about
}

// topic is where changes of a user are hinted on the bus.
func topic(id odcm.UserID) string { return "user/" + string(id) }

// maxUsername and maxDisplayName bound what people type, in characters.
const (
	maxUsername    = 64
	maxDisplayName = 100
)

// ParseUsername returns the name as it is shown, and the key under which it is unique, by the PRECIS profiles for
// usernames (RFC 8265 section 3): Bob, bob and full-width ｂｏｂ are one.
func ParseUsername(s string) (shown, key string, err error) {
	if n := utf8.RuneCountInString(s); n > maxUsername {
		return "", "", odcm.E(odcm.Invalid, "identity.username-invalid", "The username has %d characters: use at most %d.", n, maxUsername).OnField("username")
	}
	shown, err = precis.UsernameCasePreserved.String(s)
	if err == nil {
		key, err = precis.UsernameCaseMapped.String(s)
	}
	if err != nil || key == "" {
		return "", "", odcm.E(odcm.Invalid, "identity.username-invalid",
			"This is not a username: use letters, digits and signs, without spaces.").OnField("username").Because(err)
	}
	return shown, key, nil
}

func (u *User) validate() error {
	u.DisplayName = strings.TrimSpace(u.DisplayName)
	if u.DisplayName == "" {
		u.DisplayName = u.Username
	}
	if utf8.RuneCountInString(u.DisplayName) > maxDisplayName || strings.ContainsFunc(u.DisplayName, unprintable) {
		return odcm.E(odcm.Invalid, "identity.display-name-invalid", "Use a name of at most %d printable characters.", maxDisplayName).OnField("displayName")
	}
	for _, r := range u.Roles {
		if !slices.Contains(Roles(), r) {
			return odcm.E(odcm.Invalid, "identity.role-unknown", "There is no role %q: use one of %v.", r, Roles()).OnField("roles")
		}
	}
	slices.Sort(u.Roles)
	u.Roles = slices.Compact(u.Roles)
	return nil
}

// unprintable characters would break a line, or turn the text around them (Unicode 5.2, format characters), where a name
// is shown.
func unprintable(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// NewUser is what a user is made from. An empty password makes one that cannot sign in with a password.
type NewUser struct {
	Username, DisplayName, Password string
	Email                           string // not verified by being typed here; "" for none
	Roles                           []odcm.Role
}

// Create makes a user.
func (s *Service) Create(ctx context.Context, p odcm.Principal, n NewUser) (_ User, err error) {
	defer odcm.Wrap(&err, "create user")
	if err := s.auth.Authorize(ctx, p, "user.create", ""); err != nil {
		return User{}, err
	}
	shown, key, err := ParseUsername(n.Username)
	if err != nil {
		return User{}, err
	}
	u := s.newUser(shown, n.DisplayName, n.Roles)
	if err := u.validate(); err != nil {
		return User{}, err
	}
	var emails []Email
	if n.Email != "" {
		address, err := parseEmail(n.Email)
		if err != nil {
			return User{}, err
		}
		emails = []Email{{Address: address, Main: true}}
	}
	var hash string
	if n.Password != "" {
		if hash, err = s.newHash(ctx, n.Password, u); err != nil {
			return User{}, err
		}
	}
	e := odcm.NewEvent(p, "identity.user-created", string(u.ID), u.Username, nil, u.public())
	if err := s.store.CreateUser(ctx, u, key, hash, e, emails...); err != nil {
		return User{}, err
	}
	s.bus.Publish(topic(u.ID))
	return u, nil
}

func (s *Service) newUser(username, displayName string, roles []odcm.Role) User {
	now := s.now()
	return User{ID: odcm.NewID[odcm.UserID]("user"), Username: username, DisplayName: displayName, Roles: slices.Clone(roles),
		Revision: 1, Created: now, Updated: now}
}

// Get returns a user, a deleted one too. People may see themselves; others need the action "user.read".
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.UserID) (_ User, err error) {
	defer odcm.Wrap(&err, "get user %s", id)
	if p.User != id || id == "" {
		if err := s.auth.Authorize(ctx, p, "user.read", string(id)); err != nil {
			return User{}, err
		}
	}
	return s.store.User(ctx, id)
}

// Change is what of a user is to be different; nil leaves a field as it is.
type Change struct {
	Username    *string
	DisplayName *string
	Roles       *[]odcm.Role
	Disabled    *bool
}

// others tells whether the change is one that people may not make of themselves.
func (c Change) others() bool { return c.Username != nil || c.Roles != nil || c.Disabled != nil }

// Update changes the user whose revision is still the one given (odcm.Conflict otherwise). People may change their own
// display name; the rest needs the action "user.update". The last enabled administrator stays one, so that nobody is
// locked out. Disabling ends the user's sessions.
func (s *Service) Update(ctx context.Context, p odcm.Principal, id odcm.UserID, revision int64, c Change) (_ User, err error) {
	defer odcm.Wrap(&err, "update user %s", id)
	if c.others() {
		err = s.auth.Authorize(ctx, p, "user.update", string(id))
	} else {
		err = s.authorizeFor(ctx, p, "user.update", id)
	}
	if err != nil {
		return User{}, err
	}
	old, err := s.store.User(ctx, id)
	if err != nil {
		return User{}, err
	}
	u := old
	if err := c.apply(&u); err != nil {
		return User{}, err
	}
	if old.Revision != revision {
		return User{}, odcm.E(odcm.Conflict, "identity.user-changed", "%s was changed by someone else: look again, then repeat.", old.Username)
	}
	return s.update(ctx, p, old, u)
}

func (c Change) apply(u *User) (err error) {
	switch {
	case !u.Deleted.IsZero():
		return odcm.E(odcm.Conflict, "identity.user-deleted", "%s is deleted.", u.Username)
	case u.ID == Guest && (c.Roles != nil || c.Username != nil):
		return odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in: it can be let in or not, and be granted Spaces, and no more.")
	}
	if c.Username != nil {
		if u.Username, _, err = ParseUsername(*c.Username); err != nil {
			return err
		}
	}
	if c.DisplayName != nil {
		u.DisplayName = *c.DisplayName
	}
	if c.Roles != nil {
		u.Roles = slices.Clone(*c.Roles)
	}
	if c.Disabled != nil {
		u.Disabled, u.DisabledBy = *c.Disabled, "" // from now on an administrator's decision
	}
	return u.validate()
}

// update writes u over old.
func (s *Service) update(ctx context.Context, p odcm.Principal, old, u User) (User, error) {
	u.Updated = s.now()
	if err := s.store.UpdateUser(ctx, u, odcm.NewEvent(p, "identity.user-updated", string(u.ID), u.Username, old.public(), u.public())); err != nil {
		return User{}, err
	}
	u.Revision++
	s.forget(u.ID)
	return u, nil
}

// Delete takes away all by which a disabled user could sign in, his addresses and his picture, and frees the username. The
// row stays for the events that name him.
func (s *Service) Delete(ctx context.Context, p odcm.Principal, id odcm.UserID, revision int64) (err error) {
	defer odcm.Wrap(&err, "delete user %s", id)
	if err := s.auth.Authorize(ctx, p, "user.delete", string(id)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	switch {
	case err != nil:
		return err
	case !u.Deleted.IsZero():
		return nil
	case id == Guest:
		return odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in: switch it off instead.")
	case !u.Disabled:
		return odcm.E(odcm.Conflict, "identity.user-enabled", "%s can still sign in: deactivate the user first.", u.Username)
	}
	u.Revision = revision
	e := odcm.NewEvent(p, "identity.user-deleted", string(id), u.Username, u.public(), nil)
	if err := s.store.DeleteUser(ctx, u, s.now(), e); err != nil {
		return err
	}
	s.forget(id)
	return nil
}
