package report

import (
	"strconv"
	"time"

	"odcm"
)

// Kind is what sort of run a fact tells of.
type Kind string

// The kinds.
const (
	Deployments Kind = "deployment"
	RunbookRuns Kind = "runbook-run"
)

// Outcome is how a run ended, or how far it is.
type Outcome string

// The outcomes. Lost is a run that was under way when its server forgot it, as after a restore.
const (
	Queued    Outcome = "queued"
	Running   Outcome = "running"
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
	Canceled  Outcome = "canceled"
	TimedOut  Outcome = "timed-out"
	Lost      Outcome = "lost"
)

// Ended tells whether nothing more will happen to it.
func (o Outcome) Ended() bool { return o != Queued && o != Running && o != "" }

// rank orders outcomes by how far a run has come.
func (o Outcome) rank() int {
	switch o {
	case "":
		return 0
	case Queued:
		return 1
	case Running:
		return 2
	}
	return 3
}

// Deployment is a deployment or a runbook run of a Space: a fact. Identifiers are those of the Octopus server, times are by
// its clock.
type Deployment struct {
	Space       odcm.SpaceID
	Kind        Kind
	ID          string
	Task        string
	Project     string
	Environment string
	Tenant      string // "" for none
	Channel     string
	Runbook     string
	Release     string
	Version     string // of the release
	By          string // who asked for it
	Outcome     Outcome
	Created     time.Time
	Started     time.Time // zero where it never began
	Ended       time.Time // zero while it has not
	Released    time.Time // when the release was made
	// Whole tells that it comes from the server's documents; otherwise it was put together from events, because the documents
	// are gone.
	Whole bool
}

// aSecondOne is how far apart two times of creation are that cannot be one deployment's. An event and its document are
// written within seconds; a restore of a server, after which identifiers are given again, takes longer.
const aSecondOne = time.Minute

// Same tells whether two facts of one identifier are about one deployment. After a restore from a backup a server gives
// identifiers anew that it gave before.
func (d Deployment) Same(other Deployment) bool {
	if d.Created.IsZero() || other.Created.IsZero() {
		return true
	}
	return d.Created.Sub(other.Created).Abs() <= aSecondOne
}

// Earlier is the fact under an identifier of its own, because its server gave the identifier to another deployment. What it
// was doing is not to be found out any more.
func (d Deployment) Earlier(now time.Time) Deployment {
	d.ID += "@" + strconv.FormatInt(d.Created.UnixMilli(), 10)
	if !d.Outcome.Ended() {
		d.Outcome, d.Ended = Lost, now
	}
	return d
}

// Merge adds what a newer look at the same deployment says. A look may be older than what is known, since lists and events
// come by different ways: what has ended stays ended.
func (d Deployment) Merge(newer Deployment) Deployment {
	d.Task, d.Project, d.Environment = or(newer.Task, d.Task), or(newer.Project, d.Project), or(newer.Environment, d.Environment)
	d.Tenant, d.Channel, d.Runbook = or(newer.Tenant, d.Tenant), or(newer.Channel, d.Channel), or(newer.Runbook, d.Runbook)
	d.Release, d.Version, d.By = or(newer.Release, d.Release), or(newer.Version, d.Version), or(newer.By, d.By)
	if newer.Whole || d.Created.IsZero() {
		d.Created = orTime(newer.Created, d.Created)
	}
	d.Started, d.Released = orTime(newer.Started, d.Started), orTime(newer.Released, d.Released)
	further := newer.Outcome.rank() > d.Outcome.rank()
	surer := newer.Outcome.rank() == d.Outcome.rank() && (newer.Whole || !d.Whole || d.Outcome == Lost) && newer.Outcome != Lost
	if further || surer {
		d.Outcome, d.Ended = newer.Outcome, orTime(newer.Ended, d.Ended)
	}
	d.Whole = d.Whole || newer.Whole
	return d
}

func or[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

func orTime(a, b time.Time) time.Time {
	if !a.IsZero() {
		return a
	}
	return b
}

// ahead is how far a server's clock may be before ODCM's until its times are not believed.
const ahead = 5 * time.Minute

// At is when the fact counts: at its end, or when it was made while it has none. A server whose clock is ahead does not
// deploy in the future.
func (d Deployment) At(now time.Time) time.Time {
	at := orTime(d.Ended, d.Created)
	if at.IsZero() || at.After(now.Add(ahead)) {
		return now
	}
	return at
}

// Took is how long it ran, 0 where that is not known.
func (d Deployment) Took() time.Duration {
	if d.Started.IsZero() || d.Ended.IsZero() {
		return 0
	}
	return max(0, d.Ended.Sub(d.Started))
}

// Name is what the server calls something that facts refer to.
type Name struct {
	ID   string
	Kind string // "project", "environment", "tenant"
	Name string
}

// Metrics of what a Space holds, sampled once a day.
const (
	Projects     = "projects"
	Environments = "environments"
	Tenants      = "tenants"
	Targets      = "targets"
	Users        = "users"
	Releases     = "releases"
)

// TargetsIn is the metric of the targets in a health status of Octopus: Healthy, HasWarnings, Unhealthy, Unavailable, Unknown.
func TargetsIn(health string) string { return Targets + "." + health }

// Sample is how many of something a Space held on a day.
type Sample struct {
	Space  odcm.SpaceID
	Day    time.Time // midnight UTC
	Metric string
	N      int64
}

// Gap is a time for which the figures of a Space may lack something.
type Gap struct {
	Space    odcm.SpaceID
	From, To time.Time
	Reason   string // a sentence for people
}

// Usage is what was asked of one server.
type Usage struct {
	People, Background, Pings, Retries, Limited int64
}

// Sub is what came since an earlier reading.
func (u Usage) Sub(was Usage) Usage {
	return Usage{u.People - was.People, u.Background - was.Background, u.Pings - was.Pings, u.Retries - was.Retries, u.Limited - was.Limited}
}

// Add is both together.
func (u Usage) Add(o Usage) Usage {
	return Usage{u.People + o.People, u.Background + o.Background, u.Pings + o.Pings, u.Retries + o.Retries, u.Limited + o.Limited}
}

// Quarter is the grain of sums.
const Quarter = 15 * time.Minute
