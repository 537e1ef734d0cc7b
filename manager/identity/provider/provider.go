package provider

import (
	"context"
	"iter"
	"net/url"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// Kind is a sort of provider.
type Kind string

// The kinds of providers.
const (
	ActiveDirectory Kind = "active-directory"
	LDAP            Kind = "ldap"
	EntraID         Kind = "entra-id" // Azure AD
	Google          Kind = "google"
	OpenID          Kind = "openid-connect"
)

// Provider is one way to sign in, as an administrator set it up.
type Provider struct {
	ID       odcm.ProviderID
	Kind     Kind
	Name     string // on the button of the sign-in page
	Enabled  bool
	Order    int               // on the sign-in page
	Settings map[string]string // by the names of the connector's fields; secrets are not in it
	// Secrets are sealed at rest. A source is opened with their values; whoever reads a provider gets their names alone. In a
	// change, a name with an empty value stays as it was, a name that is missing is forgotten.
	Secrets map[string]string
	// SyncEvery is how often a directory is read in the background; [DefaultSyncEvery] where zero.
	SyncEvery time.Duration
	Sync      Sync
	Test      Test // the last one
	Revision  int64
	Created   time.Time
}

// DefaultSyncEvery is how often everything of a directory is read where nothing else is set.
const DefaultSyncEvery = time.Hour

// Sync is how it stands with reading a directory in the background.
type Sync struct {
	Succeeded time.Time // last complete reading that counted; zero: never
	Tried     time.Time
	Error     string // of the last try, for people; empty where it succeeded
	// Held says, for people, why a reading was not believed: it would have taken away too much at once. Nothing changes until
	// an administrator accepts it, or the directory says otherwise.
	Held        string
	People      int // linked people found
	Groups      int // groups that any of them is in
	Memberships int // of linked people in groups

	Asked    time.Time // somebody wants a reading now; done where it is before Tried
	Accepted bool      // the next reading counts, whatever it takes away
}

// Test is what trying the settings found.
type Test struct {
	Started, Ended time.Time // Ended is zero while it runs
	Findings       []Finding
}

// Field is a setting of a kind, for forms and the API.
type Field struct {
	Name     string // "server"
	Label    string // "Server"
	Help     string
	Default  string
	Required bool
	Secret   bool
	Multi    bool     // several lines
	File     bool     // uploaded; the value is base64
	Max      int      // bytes of the value; 4,000 if zero
	Options  []string // a choice, where not empty; "true","false" is a switch
	Section  string   // heading of what belongs together; fields without one come first
	Advanced bool     // right for nearly everybody as it is: folded away
}

// Connector is one kind of provider.
type Connector interface {
	Kind() Kind
	Fields() []Field
	// Open checks the settings without going anywhere (odcm.Invalid on the field that is wrong), and returns a source that
	// connects when it is used. ReturnURL is where an OpenID provider sends people back to.
	Open(p Provider, returnURL string) (Source, error)
}

// Source is one provider that can be used. It also implements those of Passwords, Redirects, Tickets and Directory that its kind can.
type Source interface {
	// Test tries everything that the settings say, one step after another, and tells what it finds as it finds it. It changes
	// nothing, and ends at the first step without which the others cannot be tried.
	Test(ctx context.Context, tell func(Finding))
	// Close lets go of what is kept, such as idle connections; a call that is under way ends as it would have.
	Close() error
}

// Finding is one step of a test.
type Finding struct {
	Step    string // "Connect to dc1.example.com:636"
	OK      bool
	Warning bool   // it works, and should not stay so
	Message string // what was found, or what is wrong and what to do
}

// Passwords checks what a person typed: NotFound where the provider has no such user, Unauthenticated
// "identity.sign-in-failed" where the password is wrong, Denied where it is right and the account may not be used (the
// message says why), Unavailable where the provider does not answer.
type Passwords interface {
	Verify(ctx context.Context, username, password string) (person.Assertion, error)
}

// Domains is a [Passwords] that knows the names by which people choose it: "EXAMPLE" of EXAMPLE\bob, "example.com" of
// bob@example.com. They are compared without regard to case.
type Domains interface{ Domains() []string }

// Redirects sends a browser to the provider and reads what it brings back.
type Redirects interface {
	// Begin returns where to send the browser. State, Nonce and Verifier are made by the caller, who keeps them sealed in a cookie.
	Begin(ctx context.Context, f Flow) (target string, err error)
	Finish(ctx context.Context, f Flow, answer url.Values) (person.Assertion, error)
}

// Flow is one sign-in under way.
type Flow struct {
	State, Nonce, Verifier string
	LoginHint              string // whom the provider may propose; "" for nobody
	Again                  bool   // the person is to prove it once more, though the provider knows them
}

// Tickets accepts a SPNEGO token of Integrated Windows sign-in (RFC 4559). Reply goes into WWW-Authenticate, if not empty.
type Tickets interface {
	Accept(ctx context.Context, token []byte, remoteAddress string) (a person.Assertion, reply []byte, err error)
}

// Directory can be read without anybody signing in.
type Directory interface {
	// People yields those who are asked for by subject (all who are linked to the provider): their state and groups.
	People(ctx context.Context, subjects []string) iter.Seq2[Person, error]
	// FindGroups and FindPeople are for pickers: those whose name contains the text, at most limit.
	FindGroups(ctx context.Context, text string, limit int) ([]person.ExternalGroup, error)
	FindPeople(ctx context.Context, text string, limit int) ([]person.Assertion, error)
}

// Watched is a [Directory] that can tell what changed without being read whole.
type Watched interface {
	// Changes tells what changed after the mark. With the mark "", or one that the server does not know, Changes.All is set:
	// only reading everything tells.
	Changes(ctx context.Context, mark string) (Changes, error)
}

// Changes is what changed in a directory.
type Changes struct {
	Mark   string   // to ask with the next time
	People []string // subjects of the accounts that changed
	All    bool     // groups changed, or too much did, or it is not known: read everybody who is linked
}

// Person is what a directory says about one account.
type Person struct {
	person.Assertion
	Gone     bool // the directory was read and has no such account
	Disabled bool // the account is there and may not sign in
}
