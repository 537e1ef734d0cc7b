package space

import (
	"context"

	"odcm"
	"odcm/octopus"
)

// MinVersion is the oldest Octopus Server that ODCM manages; octoclient, which reads it, says why.
const MinVersion octopus.Version = "2020.1.0"

// Octopus talks to one Octopus server.
type Octopus interface {
	// Prove reads who the server is, who the key is and what it may do, and changes nothing. Its errors name the field that
	// is wrong. On url: Invalid "space.url-invalid", "space.not-octopus", "space.redirected", "space.address-refused";
	// Unsupported "space.version-too-old"; Unavailable "space.unreachable", "space.tls-untrusted", "space.server-failed". On
	// ca and thumbprint: Invalid "space.ca-invalid", "space.thumbprint-invalid". On apiKey: Invalid "space.key-refused",
	// Denied "space.key-lacks-permission".
	Prove(ctx context.Context, c Connection) (Proof, error)
	// Subscriptions lists the event subscriptions of that name in an octopus.Space.
	Subscriptions(ctx context.Context, c Connection, octopusSpace, name string) ([]octopus.Object, error)
	// PutSubscription changes the subscription, or adds it where it has no Id, and returns it as the server has it now.
	PutSubscription(ctx context.Context, c Connection, octopusSpace string, o octopus.Object) (octopus.Object, error)
	// DeleteSubscription takes it away; that it is gone already is no error.
	DeleteSubscription(ctx context.Context, c Connection, octopusSpace, id string) error
}

// Connection is how to reach a server and as whom.
type Connection struct {
	URL    string
	APIKey Secret
	TLS    TLS
}

// Proof is what a server said about itself and about the key.
type Proof struct {
	URL            string // the address in its one form: lower case, no default port, no page, no trailing slash
	InstallationID string
	Version        string
	User           string // whose key it is
	Administrator  bool   // holds AdministerSystem, which includes every permission in every octopus.Space
	Spaces         []OctopusSpace
}

// OctopusSpace is one octopus.Space on a server, with what the key may do in it.
type OctopusSpace struct {
	ID          string
	Name        string
	Description string
	Default     bool
	Lacks       []string // which of WantedPermissions the key does not have there
}

// WantedPermissions are what the key needs in an octopus.Space, by their names in Octopus's API, to keep the webhook from
// laying it to taking it away.
func WantedPermissions() []string {
	return []string{"SubscriptionView", "SubscriptionCreate", "SubscriptionEdit", "SubscriptionDelete"}
}

func (p Proof) space(id string) (OctopusSpace, bool) {
	for _, s := range p.Spaces {
		if s.ID == id {
			return s, true
		}
	}
	return OctopusSpace{}, false
}

// check says why a server that proved itself cannot be managed, nil if it can.
func (p Proof) check() error {
	if p.InstallationID == "" {
		return odcm.E(odcm.Invalid, "space.not-octopus", "The server does not say which installation it is, so ODCM could not tell it from another. "+
			"Check that the URL is that of Octopus Server itself.").OnField("url")
	}
	if !octopus.Version(p.Version).AtLeast(MinVersion) {
		return odcm.E(odcm.Unsupported, "space.version-too-old", "The server runs Octopus %s; ODCM needs %s or newer. Upgrade it first.",
			p.Version, MinVersion).OnField("url")
	}
	if len(p.Spaces) == 0 {
		return odcm.E(odcm.Invalid, "space.key-lacks-permission", "The API key of %s may see no Space on this server: it needs SpaceView. "+
			"Use the key of an Octopus administrator.", p.User).OnField("apiKey")
	}
	return nil
}
