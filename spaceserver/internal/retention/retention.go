package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/lifecycle"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
)

// Name is what the task is called.
const Name = "Retention"

// interval is how often the policies are applied.
const interval = 4 * time.Hour

// Again says when the policies are applied after the last time, for [queue.Queue.Every].
func Again(now func() time.Time) func(last time.Time) time.Time {
	return func(last time.Time) time.Time {
		if last.IsZero() {
			last = now()
		}
		return last.Add(interval)
	}
}

// Keeper applies the policies.
type Keeper struct {
	Service *collection.Service
	Queue   *queue.Queue
}

// Enqueue is the work that comes again: it makes the task in which the policies are applied, so that people can read what went.
func (k *Keeper) Enqueue(ctx context.Context, _ *queue.Task) error {
	return k.Service.Transact(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		_, err := k.Queue.Enqueue(c, queue.Request{Name: Name, Description: "Apply retention policies", Serial: "retention", By: c.Principal.ID})
		return err
	})
}

// Apply is the work of the task: it applies the policies in every space. A space that fails does not keep the others from it.
func (k *Keeper) Apply(ctx context.Context, t *queue.Task) error {
	var failed []error
	for _, space := range k.Service.Directory().Spaces {
		s := keeping{part.Reader{Context: ctx, Service: k.Service, Q: k.Service.Store.DB.Read(), Space: space.ID}, t.Log.Child(space.ID, space.Name)}
		if err := errors.Join(s.releases(), s.runs(), s.snapshots()); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", space.Name, err))
			s.log.End(activity.Failed)
		} else {
			s.log.End(activity.Success)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(failed...)
}

// keeping is the work in one space.
type keeping struct {
	part.Reader
	log *activity.Log
}

func (s keeping) say(format string, args ...any) {
	s.log.Write(activity.Info, fmt.Sprintf(format, args...))
}

// delete deletes what nothing in the ledger keeps: it may have been deployed since it was looked at.
func (s keeping) delete(kind, id string, keeps ledger.Query) (deleted bool, err error) {
	err = s.Service.Transact(s.Context, collection.Request{Principal: permission.System(), Space: s.Space}, func(c *collection.Change) error {
		now, err := ledger.List(c.Context, c.Tx, keeps)
		deleted = len(now) == 0
		if err != nil || !deleted {
			return err
		}
		return c.Delete(kind, id)
	})
	if problem.IsRefusal(err) { // it is on its way
		return false, nil
	}
	return deleted && err == nil, err
}

// standard is the space's own policy of a type; everything is kept where it has none.
func (s keeping) standard(typ string) (Policy, error) {
	o, ok, err := s.Get("SpaceDefaultRetentionPolicies", typ+"RetentionDefault-"+s.Space)
	if err != nil || !ok || o.Text("Strategy") != "Count" {
		return Policy{Forever: true}, err
	}
	return Policy{Quantity: int(o.Int("QuantityToKeep")), Days: o.Text("Unit") == "Days"}, nil
}

// releases applies the policies of lifecycles.
func (s keeping) releases() error {
	standard, err := s.standard("LifecycleRelease")
	if err != nil {
		return err
	}
	environments, err := deployment.Environments(s.Reader)
	if err != nil {
		return err
	}
	projects, err := s.List(document.Query{Kind: "Projects"})
	if err != nil {
		return err
	}
	for _, p := range projects {
		if err := s.project(p, standard, environments); err != nil {
			return err
		}
	}
	return nil
}

func (s keeping) project(p octopus.Object, standard Policy, environments []lifecycle.Environment) error {
	channels, err := s.List(document.Query{Kind: "Channels", Owner: p.Text("Id")})
	if err != nil {
		return err
	}
	releases, err := s.List(document.Query{Kind: "Releases", Owner: p.Text("Id"), Order: document.NewestFirst})
	if err != nil || len(releases) == 0 {
		return err
	}
	entries, err := ledger.List(s.Context, s.Q, ledger.Query{Kind: ledger.Deployments, Line: p.Text("Id")})
	if err != nil {
		return err
	}
	kept, went := Standing(entries, p.Bool("DiscreteChannelRelease")), map[string][]ledger.Entry{}
	for _, e := range entries {
		went[e.Source] = append(went[e.Source], e)
	}
	// Channels with the same lifecycle count together, unless the project treats them apart.
	groups, order := map[string][]octopus.Object{}, []octopus.Object{}
	for _, ch := range channels {
		key := ch.Text("LifecycleId")
		if p.Bool("DiscreteChannelRelease") {
			key = ch.Text("Id")
		}
		if groups[key] == nil {
			order = append(order, ch)
		}
		groups[key] = append(groups[key], ch)
	}
	for _, ch := range order {
		key := ch.Text("LifecycleId")
		if p.Bool("DiscreteChannelRelease") {
			key = ch.Text("Id")
		}
		o, phases, err := deployment.PhasesOf(s.Reader, p, ch, environments)
		if err != nil {
			return err
		}
		whole, policies := policiesOf(o, phases, standard)
		var mine []Release
		for _, r := range releases {
			if slices.ContainsFunc(groups[key], func(ch octopus.Object) bool { return ch.Text("Id") == r.Text("ChannelId") }) {
				mine = append(mine, standing(r, phases, went[r.Text("Id")], kept))
			}
		}
		for _, gone := range Expired(mine, whole, policies, s.Service.Now()) {
			if err := s.Context.Err(); err != nil {
				return err
			}
			deleted, err := s.delete("Releases", gone.ID, ledger.Query{Source: gone.ID, Shown: true, Take: 1})
			if err != nil {
				return err
			}
			if deleted {
				s.say("Deleted release %s of %s: no policy of %s keeps it.", gone.Version, p.Text("Name"), o.Text("Name"))
			}
		}
	}
	return nil
}

// policiesOf are those of a lifecycle and of its phases in effect.
func policiesOf(o octopus.Object, phases []lifecycle.Phase, standard Policy) (Policy, []Policy) {
	whole := read(o.Object("ReleaseRetentionPolicy"), standard)
	own := make([]*Policy, len(phases))
	for i, p := range o.Objects("Phases") {
		if period := p.Object("ReleaseRetentionPolicy"); period.Len() > 0 && i < len(own) {
			policy := read(period, whole)
			own[i] = &policy
		}
	}
	return whole, Inherited(whole, own)
}

// Standing are the releases that stay whatever the policies say: the newest of each place and the one that is there now, which
// the dashboard shows; the one before it, for a rollback; and what is under way. Entries come newest first.
func Standing(entries []ledger.Entry, discrete bool) map[string]bool {
	kept := map[string]bool{}
	succeeded := map[string][]string{}
	for _, e := range entries {
		place := e.Environment + " " + e.Tenant
		if discrete {
			place += " " + e.Channel
		}
		if !e.Ended() || e.Newest || e.Good {
			kept[e.Source] = true
		}
		if e.State == "Success" && !slices.Contains(succeeded[place], e.Source) && len(succeeded[place]) < 2 {
			succeeded[place] = append(succeeded[place], e.Source)
			kept[e.Source] = true
		}
	}
	return kept
}

func standing(r octopus.Object, phases []lifecycle.Phase, entries []ledger.Entry, kept map[string]bool) Release {
	one := Release{ID: r.Text("Id"), Version: r.Text("Version"), Made: octopus.As[time.Time](r, "Assembled"), Phases: map[int]time.Time{}, Kept: kept[r.Text("Id")]}
	for _, e := range entries {
		for i, p := range phases {
			if slices.Contains(p.Environments(), e.Environment) && e.Created.After(one.Phases[i]) {
				one.Phases[i] = e.Created
			}
		}
	}
	return one
}

// runs applies the policies of runbooks.
func (s keeping) runs() error {
	standard, err := s.standard("RunbookRetention")
	if err != nil {
		return err
	}
	runbooks, err := s.List(document.Query{Kind: "Runbooks"})
	if err != nil {
		return err
	}
	for _, o := range runbooks {
		entries, err := ledger.List(s.Context, s.Q, ledger.Query{Kind: ledger.RunbookRuns, Line: o.Text("Id")})
		if err != nil {
			return err
		}
		var runs []Run
		for _, e := range entries {
			runs = append(runs, Run{ID: e.ID, Place: e.Environment + " " + e.Tenant, Made: e.Created, Kept: !e.Ended() || e.Newest || e.Good})
		}
		gone := ExpiredRuns(runs, read(o.Object("RunRetentionPolicy"), standard), s.Service.Now())
		for _, r := range gone {
			if _, err := s.delete("RunbookRuns", r.ID, ledger.Query{ID: r.ID, Open: true, Take: 1}); err != nil {
				return err
			}
		}
		if len(gone) > 0 {
			s.say("Deleted %d runs of the runbook %s.", len(gone), o.Text("Name"))
		}
	}
	return nil
}

// snapshots deletes frozen processes and variables that no release and no runbook's snapshot names any more. Those of the version
// that is current stay: a release that is made now may take them.
func (s keeping) snapshots() error {
	used := map[string]bool{}
	for _, kind := range []string{"Releases", "RunbookSnapshots"} {
		for row, err := range s.Service.Store.Each(s.Context, s.Q, document.Query{Kind: kind, Spaces: []string{s.Space}}) {
			if err != nil {
				return err
			}
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return err
			}
			for _, member := range []string{"ProjectDeploymentProcessSnapshotId", "ProjectVariableSetSnapshotId", "FrozenRunbookProcessId", "FrozenProjectVariableSetId"} {
				used[o.Text(member)] = true
			}
			for _, id := range o.Texts("LibraryVariableSetSnapshotIds") {
				used[id] = true
			}
		}
	}
	var gone []document.Row
	for _, kind := range []string{"DeploymentProcesses", "VariableSets", "RunbookProcesses"} {
		current := map[string]int64{} // of originals, by id
		var frozen []document.Row
		for row, err := range s.Service.Store.Each(s.Context, s.Q, document.Query{Kind: kind, Spaces: []string{s.Space}}) {
			if err != nil {
				return err
			}
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return err
			}
			row.Body, row.Revision = nil, o.Int("Version")
			if strings.Contains(row.ID, "-s-") {
				frozen = append(frozen, row)
			} else {
				current[row.ID] = o.Int("Version")
			}
		}
		gone = append(gone, slices.DeleteFunc(frozen, func(row document.Row) bool {
			original, _, _ := strings.Cut(row.ID, "-s-")
			version, there := current[original]
			return used[row.ID] || there && version == row.Revision
		})...)
	}
	for len(gone) > 0 {
		const atOnce = 50
		some := gone[:min(atOnce, len(gone))]
		gone = gone[len(some):]
		err := s.Service.Quietly(s.Context, collection.Request{Principal: permission.System(), Space: s.Space}, func(c *collection.Change) error {
			for _, row := range some {
				if err := c.Delete(row.Kind, row.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
