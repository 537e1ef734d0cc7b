package group

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"odcm"
)

// Group is a set of people with a name. An external group mirrors one of a provider: its members are what the provider
// says, and nobody edits them here.
type Group struct {
	ID          odcm.GroupID
	Name        string // unique without regard to case among ODCM's own; providers may use one name twice
	Description string
	External    External // zero for a group of ODCM's own
	Revision    int64
	Created     time.Time
}

// External says which group of which provider a group mirrors.
type External struct {
	Provider odcm.ProviderID
	ID       string // as the provider never gives it to another: objectGUID, object id, address
}

// IsExternal tells whether a provider decides who is in the group.
func (g Group) IsExternal() bool { return g.External.Provider != "" }

// Limits of what a group may be.
const (
	MaxDepth  = 32   // groups on the longest way down
	MaxEdit   = 1000 // members that one edit adds or removes
	MaxAssert = 5000 // groups that a provider may tell of one person
	maxName   = 100  // characters
	maxText   = 1000 // characters of a description
	maxID     = 1000 // bytes of a provider's identifier
)

// Fold is the form of a name in which two names are the same and in which people search: compatibility characters
// composed, case folded (Unicode, section 3.13).
func Fold(name string) string { return cases.Fold().String(norm.NFKC.String(name)) }

func cleanName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	switch {
	case name == "":
		return "", odcm.E(odcm.Invalid, "group.name-missing", "Give the group a name.").OnField("name")
	case !printable(name, ""):
		return "", odcm.E(odcm.Invalid, "group.name-unprintable", "The name holds characters that cannot be shown: type it again.").OnField("name")
	case utf8.RuneCountInString(name) > maxName:
		return "", odcm.E(odcm.Invalid, "group.name-too-long", "The name is longer than %d characters: shorten it.", maxName).OnField("name")
	}
	return name, nil
}

func cleanText(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !printable(text, "\r\n\t"):
		return "", odcm.E(odcm.Invalid, "group.description-unprintable", "The description holds characters that cannot be shown: type it again.").OnField("description")
	case utf8.RuneCountInString(text) > maxText:
		return "", odcm.E(odcm.Invalid, "group.description-too-long", "The description is longer than %d characters: shorten it.", maxText).OnField("description")
	}
	return text, nil
}

// printable refuses control characters, but those allowed, and the characters that show nothing yet change what is read
// around them, such as U+202E (Unicode Technical Report 36, section 2.2). Joiners stay: scripts need them.
func printable(text, allowed string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return hidden(r) && !strings.ContainsRune(allowed, r) })
}

func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d'
}

// foreignName makes a name of what a provider calls its group, whatever that is: a name must never keep a person out. A
// group without a name goes by its identifier.
func foreignName(name, id string) string {
	for _, s := range []string{name, id} {
		s = strings.Map(func(r rune) rune {
			if hidden(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(s, "\uFFFD"))
		if s = norm.NFC.String(strings.TrimSpace(s)); s != "" {
			if r := []rune(s); len(r) > maxName {
				s = string(r[:maxName-1]) + "…"
			}
			return s
		}
	}
	return "?"
}
