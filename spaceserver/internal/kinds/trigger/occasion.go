package trigger

import (
	"slices"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/audit"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
)

// gather is how long a trigger waits for more of the same: targets that come within it are deployed to together. An Octopus
// server looks every 30 seconds.
const gather = 2 * time.Second

// Watch is for [collection.Options]: it notes, in the transaction that makes it so, for which triggers an event is an occasion.
// They fire soon after, once, in a transaction of their own.
func Watch(h *host.Host) func(c *collection.Change, events []document.Event) error {
	return func(c *collection.Change, events []document.Event) error {
		w := watch{part.Reader{}, c, map[occasion]time.Time{}}
		for _, e := range events {
			if len(e.Related) == 0 {
				continue
			}
			w.change = c.In(e.Space)
			w.Reader = part.In(w.change)
			var err error
			switch {
			case e.Type == "DeploymentTarget" && slices.Contains(audit.In([]string{"Machine"}), e.Category):
				err = w.machine(e)
			case e.Type == "Package" && e.Category == "Created":
				err = w.pushed(e.Related[0])
			}
			if err != nil {
				return err
			}
		}
		return w.keep(h, c)
	}
}

// occasion is something that a trigger is to act on.
type occasion struct{ id, subject, space string }

// watch collects the occasions of one transaction.
type watch struct {
	part.Reader
	change *collection.Change
	found  map[occasion]time.Time // when the trigger is due
}

func (w watch) add(id, subject string, wait time.Duration) {
	w.found[occasion{id, subject, w.Space}] = w.Service.Now().Add(wait)
}

// machine finds the triggers that an event of a deployment target fires.
func (w watch) machine(e document.Event) error {
	triggers, err := w.List(document.Query{Kind: "ProjectTriggers", Contains: `"` + machineFilter + `"`})
	if err != nil || len(triggers) == 0 {
		return err
	}
	m, there, err := w.Get("Machines", e.Related[0])
	if err != nil || !there {
		return err
	}
	for _, t := range triggers {
		if filter := t.Object("Filter"); !t.Bool("IsDisabled") && filter.Text("FilterType") == machineFilter && hears(filter, e.Category) && concerns(filter, m) {
			w.add(t.Text("Id"), m.Text("Id"), gather)
		}
	}
	return nil
}

// hears tells whether a filter is about events of the category; one that names none is about all of targets.
func hears(filter octopus.Object, category string) bool {
	categories, groups := filter.Texts("EventCategories"), filter.Texts("EventGroups")
	return len(categories)+len(groups) == 0 || slices.Contains(categories, category) || slices.Contains(audit.In(groups), category)
}

// concerns tells whether a filter is about the target: in one of the environments, with one of the target tags.
func concerns(filter, machine octopus.Object) bool {
	return overlap(filter.Texts("EnvironmentIds"), machine.Texts("EnvironmentIds")) && overlap(filter.Texts("Roles"), machine.Texts("Roles"))
}

// overlap tells whether one of the wanted is there; none wanted means any.
func overlap(wanted, have []string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(one string) bool { return slices.Contains(have, one) })
}

// keep writes what was found. The row of the trigger is locked first, as whoever fires it does: what is added behind the back of
// a firing trigger makes it fire again.
func (w watch) keep(h *host.Host, c *collection.Change) error {
	if len(w.found) == 0 {
		return nil
	}
	all := make([]occasion, 0, len(w.found))
	for o := range w.found {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b occasion) int { return slices.Compare([]string{a.id, a.subject}, []string{b.id, b.subject}) })
	for _, o := range all {
		if _, err := c.Tx.ExecContext(c.Context, "INSERT INTO spaceserver_trigger (id, space, due) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET space = excluded.space",
			o.id, o.space, db.Millis(w.found[o])); err != nil {
			return err
		}
		if _, err := c.Tx.ExecContext(c.Context, "INSERT INTO spaceserver_occasion (id, subject, space) VALUES ($1, $2, $3) ON CONFLICT (id, subject) DO NOTHING", o.id, o.subject, o.space); err != nil {
			return err
		}
	}
	return again(h, c)
}

// take takes what a trigger is to act on.
func take(c *collection.Change, id string) ([]string, error) {
	subjects, err := db.Collect(c.Context, c.Tx, func(r db.Row) (s string, err error) { return s, r.Scan(&s) }, "SELECT subject FROM spaceserver_occasion WHERE id = $1 ORDER BY subject", id)
	if err != nil || len(subjects) == 0 {
		return nil, err
	}
	_, err = c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_occasion WHERE id = $1", id)
	return subjects, err
}
