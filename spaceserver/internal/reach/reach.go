// Package reach finds the machines that a task means, and the places where their scripts run.
package reach

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/script"
)

// Machine is a deployment target or a worker.
type Machine struct {
	Kind   string // Machines or Workers
	ID     string
	Space  string
	Name   string
	Object octopus.Object
}

// Reacher reads machines, their accounts and the accounts' secrets.
type Reacher struct {
	Service *collection.Service
	Local   *script.Local
}

// Open makes the place of a machine. What the account holds is hidden in the task's log from then on.
func (r *Reacher) Open(ctx context.Context, t *queue.Task, m Machine) (script.Place, error) {
	var account octopus.Object
	var secrets map[string]string
	if id := m.Object.Object("Endpoint").Text("AccountId"); id != "" {
		row, err := r.Service.Store.Get(ctx, r.Service.Store.DB.Read(), "Accounts", id, m.Space)
		if errors.Is(err, document.ErrNone) {
			return nil, problem.Invalid("The account '" + id + "' of '" + m.Name + "' does not exist any more.")
		}
		if err != nil {
			return nil, err
		}
		if account, err = octopus.ParseObject(row.Body); err != nil {
			return nil, err
		}
		if secrets, err = r.Service.Secrets(ctx, "Accounts", id, m.Space); err != nil {
			return nil, err
		}
		for _, secret := range secrets {
			t.Recorder.Mask(secret)
		}
	}
	return script.For(ctx, m.Object, account, secrets, r.Local)
}

// Choice says which machines are meant. Lists that are empty leave out nothing.
type Choice struct {
	Kinds        []string // Machines, Workers; both if empty
	IDs          []string
	Environments []string
	Roles        []string
	Pools        []string
	Policies     []string
	Disabled     bool // those too
}

// Select lists the machines of a space that a choice means, by their names.
func (r *Reacher) Select(ctx context.Context, space string, c Choice) ([]Machine, error) {
	if len(c.Kinds) == 0 {
		c.Kinds = []string{"Machines", "Workers"}
	}
	var all []Machine
	for _, kind := range c.Kinds {
		rows, _, err := r.Service.Store.List(ctx, r.Service.Store.DB.Read(), document.Query{Kind: kind, Spaces: []string{space}})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return nil, err
			}
			if (c.Disabled || !o.Bool("IsDisabled")) && c.means(row.ID, o) {
				all = append(all, Machine{Kind: kind, ID: row.ID, Space: row.Space, Name: o.Text("Name"), Object: o})
			}
		}
	}
	slices.SortFunc(all, func(a, b Machine) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return all, nil
}

func (c *Choice) means(id string, o octopus.Object) bool {
	return overlap(c.IDs, []string{id}) && overlap(c.Environments, o.Texts("EnvironmentIds")) && overlap(c.Roles, o.Texts("Roles")) &&
		overlap(c.Pools, o.Texts("WorkerPoolIds")) && overlap(c.Policies, []string{o.Text("MachinePolicyId")})
}

// overlap tells whether any of what is wanted is there. Roles are compared in any case, as Octopus does.
func overlap(wanted, there []string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(wanted, func(w string) bool {
		return slices.ContainsFunc(there, func(t string) bool { return strings.EqualFold(w, t) })
	})
}

// Texts reads a member that clients send as a list, as one text with commas, or not at all.
func Texts(o octopus.Object, name string) []string {
	list := o.Texts(name)
	if one := o.Text(name); one != "" {
		list = strings.Split(one, ",")
	}
	var clean []string
	for _, text := range list {
		if text = strings.TrimSpace(text); text != "" {
			clean = append(clean, text)
		}
	}
	return clean
}

// Each does something for each machine, ten at a time, and waits for all.
func Each(machines []Machine, do func(m Machine)) {
	const together = 10
	free := make(chan struct{}, together)
	for _, m := range machines {
		free <- struct{}{}
		go func() {
			defer func() { <-free }()
			do(m)
		}()
	}
	for range together {
		free <- struct{}{}
	}
}
