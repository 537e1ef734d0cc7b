package identity

import (
	"context"
	"slices"
	"strings"
	"time"
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
	Revision    int64
	Created     time.Time
}

// Public is what of a user may stand in an event.
func (u User) public() map[string]any {
	return map[string]any{"username": u.Username, "displayName": u.DisplayName, "roles": u.Roles, "disabled": u.Disabled}
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
	if utf8.RuneCountInString(u.DisplayName) > maxDisplayName || strings.ContainsFunc(u.DisplayName, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
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

// NewUser is what a user is made from. An empty password makes one that cannot sign in with a password.
type NewUser struct {
	Username, DisplayName, Password string
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
	u := User{ID: odcm.NewID[odcm.UserID]("user"), Username: shown, DisplayName: n.DisplayName, Roles: slices.Clone(n.Roles),
		Revision: 1, Created: s.now()}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	var hash string
	if n.Password != "" {
		if hash, err = s.newHash(ctx, n.Password, u); err != nil {
			return User{}, err
		}
	}
	return u, s.store.CreateUser(ctx, u, key, hash, odcm.NewEvent(p, "identity.user-created", string(u.ID), u.Username, nil, u.public()))
}

// Get returns a user. People may see themselves; others need the action "user.read".
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.UserID) (_ User, err error) {
	defer odcm.Wrap(&err, "get user %s", id)
	if err := s.authorizeFor(ctx, p, "user.read", id); err != nil {
		return User{}, err
	}
	return s.store.User(ctx, id)
}

// Change is what of a user is to be different; nil leaves a field as it is.
type Change struct {
	DisplayName *string
	Roles       *[]odcm.Role
	Disabled    *bool
}

// Update changes the user whose revision is still the one given (odcm.Conflict otherwise). People may change their own
// display name; the rest needs the action "user.update". The last enabled administrator stays one, so that nobody is
// locked out. Disabling ends the user's sessions.
func (s *Service) Update(ctx context.Context, p odcm.Principal, id odcm.UserID, revision int64, c Change) (_ User, err error) {
	defer odcm.Wrap(&err, "update user %s", id)
	authorize := s.authorizeFor
	if c.Roles != nil || c.Disabled != nil {
		authorize = func(ctx context.Context, p odcm.Principal, a odcm.Action, id odcm.UserID) error {
			return s.auth.Authorize(ctx, p, a, string(id))
		}
	}
	if err := authorize(ctx, p, "user.update", id); err != nil {
		return User{}, err
	}
	old, err := s.store.User(ctx, id)
	if err != nil {
		return User{}, err
	}
	if old.Revision != revision {
		return User{}, odcm.E(odcm.Conflict, "identity.user-changed", "%s was changed by someone else: look again, then repeat.", old.Username)
	}
	u := old
	if c.DisplayName != nil {
		u.DisplayName = *c.DisplayName
	}
	if c.Roles != nil {
		u.Roles = slices.Clone(*c.Roles)
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	if err := s.store.UpdateUser(ctx, u, odcm.NewEvent(p, "identity.user-updated", string(id), u.Username, old.public(), u.public())); err != nil {
		return User{}, err
	}
	u.Revision++
	s.forget(id)
	return u, nil
}
