package person

import (
	"strings"
	"time"

	"odcm"
	"odcm/kit/mail"
)

// Person is a user with all that tells other systems who this is.
type Person struct {
	User
	HasPassword bool
	Emails      []Email    // the main one first
	Identities  []Identity // the oldest first
}

// Email returns the main address; a zero one where there is none.
func (p Person) Email() Email {
	if len(p.Emails) == 0 {
		return Email{}
	}
	return p.Emails[0]
}

// State is what users can be listed by.
type State string

// The states of users.
const (
	Active   State = "active"
	Disabled State = "disabled"
	Deleted  State = "deleted"
)

// Local stands for the password in the place of a provider in a [Filter].
const Local odcm.ProviderID = "local"

// Filter chooses users; zero fields choose all who are not deleted.
type Filter struct {
	Text     string // in the username, the name or an address
	State    State
	Provider odcm.ProviderID // with which the user can sign in
	Role     odcm.Role
}

// Email is an address of a user.
type Email struct {
	Address  string
	Verified time.Time  // when it was proved to be the user's; zero: it was not
	Main     bool       // mail goes to this one
	Source   IdentityID // the linked identity that brought it, and takes it along; "": the user or an administrator
}

// ParseEmail takes an address that somebody typed.
func ParseEmail(text string) (string, error) {
	address, err := mail.ParseAddress(text)
	if err != nil {
		return "", odcm.E(odcm.Invalid, "identity.email-invalid", "This is not an e-mail address: it looks like bob@example.com.").OnField("email").Because(err)
	}
	return address, nil
}

// EmailKey is the form in which two addresses are compared. Only ASCII letters are folded: what other characters fold to
// may be somebody else's address.
func EmailKey(address string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address)
}
