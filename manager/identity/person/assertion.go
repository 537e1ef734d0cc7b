package person

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"odcm"
	"odcm/kit/mail"
)

// Assertion is what a provider says about a person who proved to it who they are. Subject is what the provider never gives
// to anybody else (objectGUID of a directory, "tid/oid" of Entra ID, sub of an OpenID provider); all else may change.
type Assertion struct {
	Provider odcm.ProviderID
	Subject  string
	Method   string // "oidc", "ldap", "kerberos": kept with the session

	Username      string
	DisplayName   string
	Email         string
	EmailVerified bool // the provider vouches that the address is the person's
	TrustEmail    bool // the provider's settings say that its word on addresses is enough to know someone again by

	// Groups are those that the provider says the person is in, nested ones flattened. They count only where GroupsKnown: a
	// provider that could not be asked about groups never means "in none".
	Groups      []ExternalGroup
	GroupsKnown bool

	// Marks are further names under which other systems know the same account: "upn", "sam" ("DOMAIN\\bob"), "sid", "dn".
	Marks map[string]string

	// Admit tells that the provider's settings let people in who are not known yet; they become users.
	Admit bool
}

// ExternalGroup is a group of a provider, by the identifier that the provider never gives to another.
type ExternalGroup struct{ ID, Name string }

// Bounds of what a provider may say, in bytes: what is longer says nothing that helps to know a person by.
const (
	maxSubject = 1024
	maxMark    = 1024
	maxMarks   = 16
)

// Vouched tells whether the address is proved: by a provider that says so and whose word is trusted.
func (a Assertion) Vouched() bool { return a.Email != "" && a.EmailVerified && a.TrustEmail }

// Tidy makes what a provider says fit to be kept: only the subject must be right, of all else what is not is left out.
func (a *Assertion) Tidy() error {
	if a.Provider == "" || a.Subject == "" || len(a.Subject) > maxSubject || !utf8.ValidString(a.Subject) || strings.ContainsRune(a.Subject, 0) {
		return odcm.E(odcm.Invalid, "identity.subject-invalid", "The provider did not say who you are in a form that can be kept: tell your administrator.")
	}
	a.Username, a.DisplayName = plain(a.Username, 4*maxUsername), clipRunes(plain(a.DisplayName, 4*maxDisplayName), maxDisplayName)
	if address, err := mail.ParseAddress(a.Email); err == nil {
		a.Email = address
	} else {
		a.Email, a.EmailVerified = "", false
	}
	marks := map[string]string{}
	for name, mark := range a.Marks {
		if len(marks) < maxMarks && mark != "" && len(name) <= 20 && len(mark) <= maxMark && plain(mark, maxMark) == mark {
			marks[name] = mark
		}
	}
	a.Marks = marks
	return nil
}

// NewUsername is what a new user may be called, the nth try: as the provider says, by what tells two of one name apart, or
// with a number.
func (a Assertion) NewUsername(n int) (shown, key string, ok bool) {
	local, _, _ := strings.Cut(a.Email, "@")
	wishes := []string{a.Username, a.Marks["upn"], a.Email, local, "user"}
	wish := wishes[min(n, len(wishes)-1)]
	if n >= len(wishes) {
		base := wishes[len(wishes)-1]
		for i := len(wishes) - 1; i >= 0; i-- {
			if wishes[i] != "" {
				base = wishes[i]
			}
		}
		wish = fmt.Sprintf("%s-%d", clipRunes(base, maxUsername-4), n-len(wishes)+2)
	}
	shown, key, err := ParseUsername(wish)
	return shown, key, err == nil && key != "guest"
}

// plain takes out what cannot be printed, and cuts.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(Clip(s, most))
}

func clipRunes(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
