package space

import (
	"cmp"
	"net"
	"net/url"
	"time"

	"odcm"
)

// Line is what every replica keeps in memory of a Space, so that sorting, counting and grouping ten thousand of them asks no
// database. It is shared: nobody changes it.
type Line struct {
	ID       odcm.SpaceID
	Instance odcm.InstanceID
	Machine  odcm.ServerID // that a created one runs on
	Slug     string
	Name     string
	Key      string // the name folded
	URL      string
	State    State
	Version  string // as last seen
	Status   Status
	Reason   string // why it is not online, or failed
	Since    time.Time
	Server   string // name of the machine, as people call it
	shown    string
}

// Shown is the one word for how a Space is: how its server does where it is active, else where it is in its life.
func (l *Line) Shown() string { return l.shown }

func shownOf(l *Line) string {
	switch {
	case l.State != StateActive:
		return string(l.State)
	case l.Status == Unknown:
		return ShownUnknown
	}
	return string(l.Status)
}

// ShownUnknown is what an active Space is whose server nobody has probed.
const ShownUnknown = "unknown"

// Shown lists the words that [Line.Shown] can be, trouble first.
func Shown() []string {
	return []string{string(Offline), string(StateFailed), string(Degraded), ShownUnknown, string(Draining), string(Maintenance),
		string(StateCreating), string(StateEnlisting), string(StateDelisting), string(Online)}
}

var shownRank = func() map[string]int {
	ranks := map[string]int{}
	for i, s := range Shown() {
		ranks[s] = i
	}
	return ranks
}()

// troubles is how many of the words of [Shown] somebody should look at.
const troubles = 3

// Trouble tells whether somebody should look at a Space that is so.
func Trouble(shown string) bool { return shownRank[shown] < troubles }

// byTrouble orders lines as the board shows them.
func byTrouble(a, b *Line) int {
	return cmp.Or(cmp.Compare(shownRank[a.Shown()], shownRank[b.Shown()]), cmp.Compare(a.Key, b.Key))
}

func byName(a, b *Line) int { return cmp.Compare(a.Key, b.Key) }

// placeOf parts a URL into the machine and the address of the server on it.
func placeOf(address string) (machine, server string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", ""
	}
	if name, _, err := net.SplitHostPort(u.Host); err == nil {
		return name, u.Host
	}
	return u.Hostname(), u.Host
}

// Grouping is by what the board is parted.
type Grouping string

// The groupings. A server is a machine; an instance is a running Octopus server, of which a machine may hold several.
const (
	Ungrouped  Grouping = ""
	ByServer   Grouping = "server"
	ByInstance Grouping = "instance"
	ByVersion  Grouping = "version"
	ByState    Grouping = "state"
)

// Groupings lists them.
func Groupings() []Grouping { return []Grouping{ByServer, ByInstance, ByVersion, ByState} }

// group is the name of the line's group; "" is one too: what has no server or version yet.
func (l *Line) group(by Grouping) string {
	switch by {
	case ByServer:
		return l.Server
	case ByInstance:
		_, server := placeOf(l.URL)
		return server
	case ByVersion:
		return l.Version
	case ByState:
		return l.Shown()
	}
	return ""
}
