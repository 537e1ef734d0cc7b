package point

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
	"odcm/octopus"
)

// Slot is a place in an Octopus server's settings for an OpenID provider.
type Slot struct {
	ID       string // of its configuration: "authentication-od"
	Route    string // in addresses: "Okta"
	Provider string // the name that identities of it have
	Label    string // for people
}

// Slots are those that ODCM can stand in, the best first. Generic OIDC came with 2025.4; Okta's is in every version and asks
// for groups (Octopus's own OpenIDConnectAuthenticationProviders).
func Slots() []Slot {
	return []Slot{
		{"authentication-generic-oidc", "GenericOidc", "Generic OIDC", "Generic OIDC"},
		{"authentication-od", "Okta", "Okta", "Okta"},
	}
}

// passwords is the configuration of sign-in by the server's own passwords.
const passwords = "authentication-usernamepassword"

// entrance is the configuration of sign-in as a whole, and leadOn the setting in it that sends who has no session to the only
// provider at once (Octopus's AuthenticationConfigResource).
const (
	entrance = "authentication"
	leadOn   = "AutoLoginEnabled"
)

// Server is one Octopus server, whose sign-in settings are seen and changed. Missing resources are odcm.NotFound.
type Server interface {
	// Values are the values of a configuration, as the server gave them.
	Values(ctx context.Context, id string) (octopus.Object, error)
	SetValues(ctx context.Context, id string, values octopus.Object) (octopus.Object, error)
	// Addresses are those under which people reach the server, the one that ODCM uses first; without a trailing slash.
	Addresses(ctx context.Context) ([]string, error)
	// ProviderName is the name that identities of the slot have on this server, "" where it does not tell.
	ProviderName(ctx context.Context, slot Slot) (string, error)
	// AddUser makes a user; RemoveUser ends its sessions and deletes it by its name, and finds it gone.
	AddUser(ctx context.Context, user octopus.Object) error
	RemoveUser(ctx context.Context, username string) error
	// Try signs somebody in through the slot, as a browser would, and returns the name of the user that the session is of.
	// Answer is what the provider says to the authorization request.
	Try(ctx context.Context, slot Slot, answer func(ctx context.Context, request *url.URL) (*grant.Reply, error)) (username string, err error)
}

// Servers reaches the server of an instance. Package ssooctopus has one.
type Servers interface {
	Server(ctx context.Context, id odcm.InstanceID) (Server, error)
}

// Instances knows which instance a Space lives on. The roof fills it with the space room.
type Instances interface {
	// InstanceOf returns the instance and a name for people. odcm.NotFound where the Space is gone or not active.
	InstanceOf(ctx context.Context, id odcm.SpaceID) (odcm.InstanceID, string, error)
}

// Store keeps what was done to servers. Implementations are held to TestPointings of package ssosql.
type Store interface {
	// Pointing returns odcm.NotFound "sso.not-pointed" where nothing was done.
	Pointing(ctx context.Context, id odcm.InstanceID) (Pointing, error)
	// PointingOf finds the pointing with that probe, likewise.
	PointingOf(ctx context.Context, probe string) (Pointing, error)
	SavePointing(ctx context.Context, p Pointing, events ...odcm.Event) error
	DropPointing(ctx context.Context, id odcm.InstanceID, events ...odcm.Event) error
}

// Pointing is what ODCM did to the sign-in settings of a server, and what they were before.
type Pointing struct {
	Instance  odcm.InstanceID
	State     State
	Slot      Slot
	Party     sso.PartyID
	Secret    string // of the relying party; sealed in the database
	Addresses []string
	// Previous are the settings as they were, by configuration; sealed in the database.
	Previous map[string][]byte
	SelfMade bool // the server may make accounts at sign-in
	Closed   bool // sign-in by the server's own passwords was turned off
	// Probe names the person of the sign-in that is a test, "" while there is none.
	Probe   string
	Tested  time.Time // when the last test succeeded
	Checked time.Time
	Drift   string // what somebody had changed when it was last repaired
	Drifted time.Time
	Repairs int
	Failure string // why it is not as it should be, for people
}

// Format keeps secrets out of logs and errors.
func (p Pointing) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s %s %s}", p.Instance, p.State, p.Slot.ID)
}

// LogValue does so too.
func (p Pointing) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// LeadsOn tells whether ODCM has the server send people on without a click, which it did not before.
func (p Pointing) LeadsOn() bool { return len(p.Previous[entrance]) > 0 }

// State is where a pointing is in its life.
type State string

// The states of a pointing.
const (
	Begun   State = "begun"   // written or about to be, not tested yet
	Applied State = "applied" // tested, and kept
)

// Choices are what may be chosen when a server is pointed at ODCM.
type Choices struct {
	// ClosePasswords turns the server's own passwords off, after the test. ODCM's API key opens them again: see [Pointer.Undo].
	ClosePasswords bool
	// Replace takes the best slot even where somebody else uses it. Its secret cannot be read, so it cannot be put back.
	Replace bool
	// LeadOn has the server send who has no session to ODCM at once, after the test: people switch Spaces without a click. Its
	// own form stays at its own address.
	LeadOn bool
	// SelfMade lets the server make accounts at sign-in. Without, which is better, only those whom ODCM pushes have one.
	SelfMade bool
}
