package execution

import (
	"context"
	"crypto/sha1" //nolint:gosec // the hash that Octopus tells of packages
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/artifact"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/execution/step"
)

// Do implements [run.Work].
func (x *execution) Do(ctx context.Context, p *run.Piece) error { return x.worker.Do(ctx, p) }

// Acquire implements [run.Work]: every package of the plan is found, and found whole, before the first step that may use
// one. They lie on this server's disk already; targets get them when their step runs.
func (x *execution) Acquire(ctx context.Context, log *activity.Log) error {
	for _, group := range x.plan.Groups {
		for i := range group.Steps {
			w := &group.Steps[i]
			if w.Skip != "" {
				continue
			}
			for j := range w.Actions {
				if err := x.acquire(ctx, w, &w.Actions[j], log); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (x *execution) acquire(ctx context.Context, w *plan.Work, job *plan.Job, log *activity.Log) error {
	if job.Skip != "" || len(job.Action.Packages) == 0 {
		return nil
	}
	p := &run.Piece{Work: w, Job: job, Log: log}
	if len(w.Targets) > 0 {
		p.Machine = &w.Targets[0]
	}
	var err error
	if p.Variables, err = x.Variables(p); err != nil {
		return err
	}
	for _, wanted := range job.Action.Packages {
		if wanted.AcquisitionLocation == "NotAcquired" {
			continue
		}
		if id, err := p.Variables.Expand(wanted.PackageID); err == nil && len(id.Missing) > 0 {
			log.Write(activity.Verbose, "Which package "+wanted.PackageID+" is will be known when its step runs")
			continue
		}
		if _, err := x.find(ctx, p, wanted); err != nil {
			return err
		}
	}
	return nil
}

// find finds a package in the built-in feed and makes sure that its content is what was pushed, once in an execution.
func (x *execution) find(ctx context.Context, p *run.Piece, wanted plan.Package) (step.Found, error) {
	id, err := p.Variables.Expand(wanted.PackageID)
	if err != nil {
		return step.Found{}, fmt.Errorf("the id of the package cannot be evaluated: %w", err)
	}
	feed, err := p.Variables.Expand(wanted.FeedID)
	if err != nil {
		return step.Found{}, fmt.Errorf("the feed of the package cannot be evaluated: %w", err)
	}
	if err := x.builtIn(ctx, feed.Text); err != nil {
		return step.Found{}, err
	}
	key := strings.ToLower(id.Text) + " " + wanted.Version
	x.mu.Lock()
	defer x.mu.Unlock()
	if found, ok := x.found[key]; ok {
		return found, nil
	}
	stored, err := x.packages.Open(ctx, x.space, id.Text, wanted.Version)
	if err != nil {
		return step.Found{}, err
	}
	if err := whole(stored.Path, stored.Hash); err != nil {
		return step.Found{}, fmt.Errorf("the package %s: %w", stored.Name, err)
	}
	p.Log.Write(activity.Info, fmt.Sprintf("Package %s version %s (%s) is in the built-in feed, and whole", stored.ID, stored.Version, size(stored.Size)))
	found := step.Found{Path: stored.Path, ID: stored.ID, Version: stored.Version, Extension: stored.Extension, Hash: stored.Hash, Feed: feed.Text}
	x.found[key] = found
	return found, nil
}

// builtIn refuses feeds that this server does not read.
func (x *execution) builtIn(ctx context.Context, id string) error {
	if id == "" || strings.EqualFold(id, "feeds-builtin") {
		return nil
	}
	feed, ok, err := x.get(ctx, "Feeds", id)
	switch {
	case err != nil:
		return err
	case !ok:
		return plan.Refusal("there is no feed '" + id + "'")
	case feed.Text("FeedType") != "BuiltIn":
		return plan.Refusal("the feed '" + feed.Text("Name") + "' is of the kind " + feed.Text("FeedType") + ", from which this Space server fetches nothing: push the package to the built-in feed")
	}
	return nil
}

func whole(path, hash string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha1.New() //nolint:gosec // see above
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, hash) {
		return plan.Refusal("its content was changed on this server's disk: its hash is " + got + " and not " + hash + ". Push it again")
	}
	return nil
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// maxArtifact bounds what a script may give away, in bytes.
const maxArtifact = 1 << 30

// keep keeps what a script gave away.
func (x *execution) keep(ctx context.Context, p *run.Piece, name string, content io.Reader) error {
	f := artifact.File{Space: x.space, Task: x.task.ID, Correlation: p.Log.ID(), Name: name, Source: p.Where()}
	if _, err := artifact.Add(ctx, x.service, x.options.Data, f, content, maxArtifact); err != nil {
		return err
	}
	p.Log.Write(activity.Verbose, "The artifact "+name+" was kept")
	return nil
}

// readTemplates reads the defaults of the parameters of those step templates that actions are made from, by the actions' ids.
func (s *subject) readTemplates(ctx context.Context) error {
	s.defaults = map[string]map[string]plan.Property{}
	for _, t := range s.process.Steps {
		for _, a := range t.Actions {
			id := a.Properties.Get("Octopus.Action.Template.Id")
			if id == "" {
				continue
			}
			kind, version := "ActionTemplates", a.Properties.Get("Octopus.Action.Template.Version")
			o, ok, err := s.get(ctx, "ActionTemplateVersions", id+"-v"+version)
			if err == nil && ok {
				kind = "ActionTemplateVersions"
			} else if err == nil {
				o, ok, err = s.get(ctx, kind, id)
			}
			if err != nil {
				return err
			}
			if !ok { // the action has a copy of all but the defaults
				continue
			}
			if err := s.readDefaults(ctx, kind, a.ID, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *subject) readDefaults(ctx context.Context, kind, action string, o octopus.Object) error {
	secrets, err := s.service.Secrets(ctx, kind, o.Text("Id"), s.space)
	if err != nil {
		return err
	}
	s.defaults[action] = map[string]plan.Property{}
	for _, p := range octopus.As[[]template](o, "Parameters") {
		if plain, ok := secrets["/Parameters/"+p.ID+"/DefaultValue"]; ok {
			p.DefaultValue = plan.Property{Text: plain, Secret: true}
		}
		s.defaults[action][p.Name] = p.DefaultValue
	}
	return nil
}
