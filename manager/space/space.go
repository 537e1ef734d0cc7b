package space

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"odcm"
)

// State is where a Space is in its life under ODCM. How its server is doing is [Status].
type State string

// The states of a Space. Only an active one is probed, reconciled and offered in the switcher.
const (
	StateCreating  State = "creating"
	StateEnlisting State = "enlisting"
	StateActive    State = "active"
	StateDelisting State = "delisting"
	StateFailed    State = "failed" // a task could not undo what it did; Reason says what is left
)

// Space is one octopus.Space on one instance, under management.
type Space struct {
	ID          odcm.SpaceID
	Instance    odcm.InstanceID
	Octopus     string // the octopus.Space's id there ("Spaces-1"); empty until a created server has told it
	Slug        string // unique, for addresses; made from the first name and kept
	Name        string // unique without regard to case
	Description string
	State       State
	Reason      string      // why it failed, for people; else empty
	Task        odcm.TaskID // the task that works on it, or did last
	Created     time.Time
	Revision    int64 // 0 before the first commit
}

// Origin says who runs the server.
type Origin string

// The origins of an instance.
const (
	Created  Origin = "created"  // ODCM launched it and stops it when its last Space is delisted
	Enlisted Origin = "enlisted" // somebody else runs it; ODCM hands it back as it was
)

// Instance is an Octopus server, one process or a node set, reached at one URL.
type Instance struct {
	ID             odcm.InstanceID
	URL            string // empty until a created server is running
	APIKey         Secret
	TLS            TLS
	InstallationID string // the server's own identity; empty until proved
	Version        string
	Origin         Origin
	Server         odcm.ServerID // the machine a created one runs on
	Created        time.Time
	Revision       int64
}

// Connection is how the instance is reached.
func (i Instance) Connection() Connection {
	return Connection{URL: i.URL, APIKey: i.APIKey, TLS: i.TLS}
}

// TLS says which certificates are believed beyond the system's own authorities.
type TLS struct {
	CA         string `json:"ca,omitempty"`         // PEM
	Thumbprint string `json:"thumbprint,omitempty"` // hexadecimal SHA-256 or SHA-1 of the one certificate that is believed
}

// Secret is text that never shows: not in logs, errors, JSON or the %v of a struct that holds it. Convert it to string
// where it is used.
type Secret string

const hidden = "(secret)"

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// Name length in characters. An octopus.Space has 50; ours is longer, so that "name (server)" always fits.
const maxName = 100

// maxDescription bounds the description, in characters.
const maxDescription = 1000

// cleanName trims the name and says what is wrong with it.
func cleanName(name, field string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	switch {
	case name == "":
		return "", odcm.E(odcm.Invalid, "space.name-missing", "Give the Space a name.").OnField(field)
	case !printable(name, ""):
		return "", odcm.E(odcm.Invalid, "space.name-unprintable", "The name holds characters that cannot be shown: type it again.").OnField(field)
	case utf8.RuneCountInString(name) > maxName:
		return "", odcm.E(odcm.Invalid, "space.name-too-long", "The name is longer than %d characters: shorten it.", maxName).OnField(field)
	}
	return name, nil
}

// printable refuses control characters, but those allowed, and the characters that show nothing yet change what is read
// around them, such as U+202E (Unicode Technical Report 36, section 2.2). Joiners stay: scripts and emoji need them.
func printable(text, allowed string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d' && !strings.ContainsRune(allowed, r)
	})
}

func cleanDescription(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !printable(text, "\r\n\t"):
		return "", odcm.E(odcm.Invalid, "space.description-unprintable", "The description holds characters that cannot be shown: type it again.").
			OnField("description")
	case utf8.RuneCountInString(text) > maxDescription:
		return "", odcm.E(odcm.Invalid, "space.description-too-long", "The description is longer than %d characters: shorten it.",
			maxDescription).OnField("description")
	}
	return text, nil
}

// Fold is the form of a name in which two names are the same and in which people search: compatibility characters
// composed, case folded (Unicode, section 3.13).
func Fold(name string) string { return cases.Fold().String(norm.NFKC.String(name)) }

// Slug makes the address form of a name: lower-case ASCII letters and digits in groups joined by hyphens.
func Slug(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		if b.Len() >= 40 {
			break
		}
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		case !unicode.Is(unicode.Mn, r): // an accent that was taken off its letter leaves no gap
			gap = true
		}
	}
	slug := b.String()
	if slug == "" || slices.Contains(reserved, slug) {
		return strings.Trim(slug+"-space", "-")
	}
	return slug
}

// reserved are the words that stand where a slug does in addresses of pages and of the REST interface.
var reserved = []string{"new", "enlist", "plan", "choices", "groups", "working"}
