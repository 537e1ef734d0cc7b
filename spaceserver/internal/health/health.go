// Package health finds out whether deployment targets and workers can be worked with, and keeps what it found on them
// (docs: infrastructure/deployment-targets/machine-policies).
package health

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/reach"
	"odcm/spaceserver/internal/script"
)

// The states of a machine (HealthStatus in the Swagger document).
const (
	Healthy     = "Healthy"
	HasWarnings = "HasWarnings"
	Unhealthy   = "Unhealthy"
	Unavailable = "Unavailable"
)

// Checker checks targets.
type Checker struct {
	Service *collection.Service
	Local   *script.Local // where scripts for cloud regions run
	Queue   *queue.Queue  // that checks which are due are put into
}

// found is what a check found out about a machine.
type found struct {
	status  string
	summary string
	facts   map[string]string // OperatingSystem, ShellName, ShellVersion, Architecture
	log     []Line
	excused bool // its policy lets it be away
}

// Line is a line of what a check said (ActivityLogElement in the Swagger document).
type Line struct {
	Category    string
	OccurredAt  time.Time
	MessageText string
	Detail      string
}

// Check is the queue's work for tasks of the kind Health (BuiltInTasks.cs in OctopusClients): Arguments.MachineIds,
// EnvironmentId, WorkerpoolId, RestrictedTo (DeploymentTargets, Workers, Policies), PolicyIds, Timeout and MachineTimeout;
// none of them means every machine of the space. Machines that are disabled are left out, unless they are named.
func (h *Checker) Check(ctx context.Context, t *queue.Task) error {
	if err := h.Service.Ready(); err != nil {
		return err
	}
	r := &reach.Reacher{Service: h.Service, Local: h.Local}
	machines, err := r.Select(ctx, t.Space, choice(t.Arguments))
	if err != nil {
		return err
	}
	if len(machines) == 0 {
		t.Log.Write(activity.Warning, "There are no machines to check.")
		return nil
	}
	if limit := span(t.Arguments.Text("Timeout")); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the health check took longer than %s", limit))
		defer cancel()
	}
	each := cmp.Or(span(t.Arguments.Text("MachineTimeout")), 5*time.Minute)
	var mu sync.Mutex
	var bad, doubtful []string
	reach.Each(machines, func(m reach.Machine) {
		log := t.Log.Child(m.ID, "Check "+m.Name)
		f, err := h.check(ctx, t, r, m, log, each)
		if err == nil {
			err = h.keep(ctx, t, m, f)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			bad = append(bad, m.Name+" ("+err.Error()+")")
			log.Write(activity.Error, err.Error())
			log.End(activity.Failed)
		case f.status == Healthy:
			log.End(activity.Success)
		case f.status == HasWarnings, f.excused:
			doubtful = append(doubtful, m.Name)
			log.End(activity.SuccessWithWarning)
		default:
			bad = append(bad, m.Name+" ("+f.summary+")")
			log.End(activity.Failed)
		}
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(bad) > 0:
		return fmt.Errorf("%d of %d machines cannot be worked with: %s", len(bad), len(machines), strings.Join(bad, "; "))
	case len(doubtful) > 0:
		return queue.ErrWarnings
	}
	return nil
}

func choice(arguments octopus.Object) reach.Choice {
	c := reach.Choice{IDs: reach.Texts(arguments, "MachineIds"), Environments: reach.Texts(arguments, "EnvironmentId"), Policies: reach.Texts(arguments, "PolicyIds"),
		Pools: append(reach.Texts(arguments, "WorkerpoolId"), reach.Texts(arguments, "WorkerPoolId")...)}
	c.Disabled = len(c.IDs) > 0
	switch restricted := arguments.Text("RestrictedTo"); {
	case restricted == "DeploymentTargets", len(c.Environments) > 0:
		c.Kinds = []string{"Machines"}
	case restricted == "Workers", len(c.Pools) > 0:
		c.Kinds = []string{"Workers"}
	}
	return c
}

// check looks at one machine.
func (h *Checker) check(ctx context.Context, t *queue.Task, r *reach.Reacher, m reach.Machine, log *activity.Log, limit time.Duration) (found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the check took longer than %s", limit))
	defer cancel()
	f := found{facts: map[string]string{}}
	write := func(c activity.Category, text string) {
		log.Write(c, text)
		if len(f.log) < 200 {
			f.log = append(f.log, Line{Category: string(c), OccurredAt: h.Service.Now(), MessageText: text})
		}
	}
	if m.Object.Object("Endpoint").Text("CommunicationStyle") == "None" {
		f.status, f.summary = Healthy, "There is nothing to check: scripts for it run on the server."
		write(activity.Info, f.summary)
		return f, nil
	}
	policy, err := h.policy(ctx, m)
	if err != nil {
		return f, err
	}
	place, err := r.Open(ctx, t, m)
	if err == nil {
		defer func() { _ = place.Close() }() // it was only looked at
		err = place.Check(ctx, func(text string) { write(activity.Info, text) })
	}
	if err != nil {
		f.status, f.summary = Unavailable, sentence(err)
		f.excused = policy.Object("MachineConnectivityPolicy").Text("MachineConnectivityBehavior") == "MayBeOfflineAndCanBeSkipped"
		write(map[bool]activity.Category{true: activity.Warning, false: activity.Error}[f.excused], f.summary)
		return f, nil
	}
	work := script.Work{Syntax: script.Bash, Folder: "health-" + m.ID, Body: body(policy.Object("MachineHealthCheckPolicy"))}
	out := &reach.Output{Task: t, Log: log, Told: func(name string, parameters map[string]string) {
		if _, known := defaults[parameters["name"]]; name == "setVariable" && known {
			f.facts[parameters["name"]] = parameters["value"]
		}
	}}
	err = place.Run(ctx, work, out)
	var exit *script.ExitError
	switch {
	case errors.As(err, &exit):
		f.status, f.summary = Unhealthy, cmp.Or(out.Failure, last(out.Errors), exit.Error())
	case err != nil:
		f.status, f.summary = Unavailable, sentence(err)
		write(activity.Error, f.summary)
	case len(out.Errors) > 0:
		f.status, f.summary = Unhealthy, last(out.Errors)
	case len(out.Warnings) > 0:
		f.status, f.summary = HasWarnings, last(out.Warnings)
	default:
		f.status, f.summary = Healthy, "The machine answers and is healthy."
	}
	return f, nil
}

func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// sentence is an error as people read it.
func sentence(err error) string {
	text := err.Error()
	if text == "" {
		return "It failed."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (h *Checker) policy(ctx context.Context, m reach.Machine) (octopus.Object, error) {
	row, err := h.Service.Store.Get(ctx, h.Service.Store.DB.Read(), "MachinePolicies", m.Object.Text("MachinePolicyId"), m.Space)
	if errors.Is(err, document.ErrNone) {
		return h.Service.Kind("MachinePolicies").Blank(), nil
	}
	if err != nil {
		return octopus.Object{}, err
	}
	return octopus.ParseObject(row.Body)
}

// defaults are the members that a check finds out, and what they are where it does not.
var defaults = map[string]string{"OperatingSystem": "Unknown", "ShellName": "Unknown", "ShellVersion": "Unknown", "Architecture": "Unknown"}

// keep writes what was found on the machine, with an event where its state is another than before.
func (h *Checker) keep(ctx context.Context, t *queue.Task, m reach.Machine, f found) error {
	connection, err := json.Marshal(Connection{Status: map[bool]string{true: "Offline", false: "Online"}[f.status == Unavailable], LastChecked: h.Service.Now(), Logs: f.log})
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // what was found out is true, even if the task is canceled now
	return h.Service.Transact(ctx, collection.Request{Principal: permission.System(), Space: m.Space}, func(c *collection.Change) error {
		var before string
		err := c.Silently().Edit(m.Kind, m.ID, func(o *octopus.Object) error {
			before = o.Text("HealthStatus")
			o.Set("HealthStatus", f.status)
			o.Set("StatusSummary", f.summary)
			o.Set("HasLatestCalamari", true) // there is none that could be old
			for name := range defaults {
				if value := f.facts[name]; value != "" {
					o.Set(name, value)
				}
			}
			return nil
		})
		if errors.Is(err, document.ErrNone) {
			return nil // it was deleted meanwhile
		}
		if err != nil {
			return err
		}
		if err := c.Service.Store.Set(ctx, c.Tx, setting(m.ID), string(connection)); err != nil {
			return err
		}
		if before == f.status {
			return nil
		}
		words := map[string]string{Healthy: "healthy", HasWarnings: "healthy with warnings", Unhealthy: "unhealthy", Unavailable: "unavailable"}[f.status]
		n := *c
		n.Kind = c.Service.Kind(m.Kind)
		n.Note("Machine"+f.status, m.Space, "machine "+m.Name+" was found to be "+words+": "+f.summary, m.Name, slices.Concat([]string{m.ID, t.ID}, m.Object.Texts("EnvironmentIds"), m.Object.Texts("TenantIds")), collection.ChangeDetails{})
		return nil
	})
}

// Connection is what the last check of a machine said (MachineConnectionStatus in the Swagger document).
type Connection struct {
	Status      string // Online, Offline, Unknown
	LastChecked time.Time
	Logs        []Line
}

func setting(id string) string { return "connection/" + id }

// LastConnection reads what the last check of a machine said; Unknown where there was none.
func LastConnection(ctx context.Context, s *collection.Service, id string) (c Connection, err error) {
	c.Status = "Unknown"
	text, err := s.Store.Setting(ctx, s.Store.DB.Read(), setting(id))
	if err != nil || text == "" {
		return c, err
	}
	return c, json.Unmarshal([]byte(text), &c)
}

// Forget removes what the last check of a machine said, when the machine is deleted.
func Forget(c *collection.Change, id string) error {
	return c.Service.Store.Set(c.Context, c.Tx, setting(id), "")
}
