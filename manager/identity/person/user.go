package person

import (
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

// Guest is the user as whom everybody may look around who does not sign in, where an administrator lets him. What is his own
// is everybody's, so that he may change nothing, not even his name.
const Guest odcm.UserID = "user-guest"

// Roles are all there are, the most powerful first.
func Roles() []odcm.Role {
	return []odcm.Role{odcm.Administrator, odcm.Auditor, odcm.SpaceAdministrator, odcm.Member}
}

// New makes a user who was not there before.
func New(username, displayName string, roles []odcm.Role, now time.Time) User {
	return User{ID: odcm.NewID[odcm.UserID]("user"), Username: username, DisplayName: displayName, Roles: slices.Clone(roles),
		Revision: 1, Created: now, Updated: now}
}

// Public is what of a user may stand in an event.
func (u User) Public() map[string]any {
	about := map[string]any{"username": u.Username, "displayName": u.DisplayName, "roles": u.Roles, "disabled": u.Disabled}
	if u.DisabledBy != "" {
		about["disabledBy"] = u.DisabledBy
	}
	return about
}

// Principal is the user as who asks for something.
func (u User) Principal(via, address string) odcm.Principal {
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: via, Address: address}
}

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

// Validate makes the name that is shown and the roles fit to be kept.
func (u *User) Validate() error {
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

// Clip cuts s to at most n bytes of valid UTF-8.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
