// Package reporttest is a server as package collect sees it, which can be made to do what servers do to those who follow
// them: delete its events, be restored from a backup, answer late, wrongly or not at all.
package reporttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"odcm"
	"odcm/manager/report"
	"odcm/manager/report/collect"
)

// Server is a [collect.Source].
type Server struct {
	mu    sync.Mutex
	data  data
	asked int64
	// Fail is asked before each answer; its error is the answer.
	Fail func(what string) error
	// Most bounds a page, whatever is asked; 0 for no bound.
	Most int
	// NoEvents refuses to show events.
	NoEvents bool
}

type data struct {
	events   []collect.Event // oldest first
	runs     map[report.Kind][]report.Deployment
	tasks    map[string]collect.Task
	releases map[string]collect.Release
	number   int64 // of the last event; others have numbers between
	last     int   // number of the last run
}

// NewServer makes an empty one.
func NewServer() *Server {
	return &Server{data: data{runs: map[report.Kind][]report.Deployment{}, tasks: map[string]collect.Task{}, releases: map[string]collect.Release{}}}
}

func (d data) clone() data {
	d.events = slices.Clone(d.events)
	d.runs = map[report.Kind][]report.Deployment{report.Deployments: slices.Clone(d.runs[report.Deployments]), report.RunbookRuns: slices.Clone(d.runs[report.RunbookRuns])}
	d.tasks, d.releases = maps.Clone(d.tasks), maps.Clone(d.releases)
	return d
}

// Backup returns a function that restores the server to how it is now.
func (s *Server) Backup() (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.data.clone()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.data = kept.clone()
	}
}

var nouns = map[report.Kind]string{report.Deployments: "Deployment", report.RunbookRuns: "RunbookRun"}

// event adds one, after a hole as the events of other spaces leave it.
func (s *Server) event(at time.Time, category string, d report.Deployment) {
	s.data.number += 1 + int64(len(s.data.events)%3)
	s.data.events = append(s.data.events, collect.Event{Number: s.data.number, Category: category, Occurred: at, By: d.By, Kind: d.Kind, Run: d.ID, Task: d.Task,
		Project: d.Project, Environment: d.Environment, Release: d.Release})
}

// Queue makes a run.
func (s *Server) Queue(at time.Time, kind report.Kind, project, environment, release string) report.Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.last++
	d := report.Deployment{Kind: kind, ID: fmt.Sprintf("%ss-%d", nouns[kind], s.data.last), Task: fmt.Sprintf("ServerTasks-%d", s.data.last), Project: project,
		Environment: environment, Release: release, By: "bob", Created: at, Whole: true}
	s.data.runs[kind] = append(s.data.runs[kind], d)
	s.data.tasks[d.Task] = collect.Task{Run: d.ID, Outcome: report.Queued}
	if _, ok := s.data.releases[release]; !ok {
		s.data.releases[release] = collect.Release{Version: "1." + release, Released: at.Add(-time.Hour)}
	}
	s.event(at, nouns[kind]+"Queued", d)
	return d
}

// Begin starts a run.
func (s *Server) Begin(at time.Time, d report.Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.data.tasks[d.Task]
	if !ok || t.Outcome != report.Queued {
		return
	}
	t.Outcome, t.Started = report.Running, at
	s.data.tasks[d.Task] = t
	s.event(at, nouns[d.Kind]+"Started", d)
}

// End ends a run that is under way.
func (s *Server) End(at time.Time, d report.Deployment, outcome report.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.data.tasks[d.Task]
	if !ok || t.Outcome.Ended() {
		return
	}
	t.Outcome, t.Ended = outcome, at
	s.data.tasks[d.Task] = t
	switch outcome {
	case report.Succeeded:
		s.event(at, nouns[d.Kind]+"Succeeded", d)
	case report.Canceled:
		s.event(at, "TaskCanceled", d)
	default:
		s.event(at, nouns[d.Kind]+"Failed", d)
	}
}

// PruneEvents deletes the oldest events but so many.
func (s *Server) PruneEvents(keep int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.events = s.data.events[max(0, len(s.data.events)-keep):]
}

// Delete removes a run's documents, as retention does.
func (s *Server) Delete(d report.Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.data.tasks[d.Task].Outcome.Ended() {
		return
	}
	s.data.runs[d.Kind] = slices.DeleteFunc(s.data.runs[d.Kind], func(o report.Deployment) bool { return o.ID == d.ID })
	delete(s.data.tasks, d.Task)
}

// Count is how many runs there are in each outcome, as the server itself counts.
func (s *Server) Count() map[report.Outcome]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[report.Outcome]int64{}
	for _, all := range s.data.runs {
		for _, d := range all {
			counts[s.data.tasks[d.Task].Outcome]++
		}
	}
	return counts
}

func (s *Server) ask(ctx context.Context, what string) error {
	s.asked++
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Fail != nil {
		return s.Fail(what)
	}
	return nil
}

func (s *Server) cut(take int) int {
	if s.Most > 0 {
		return min(take, s.Most)
	}
	return take
}

// Events implements [collect.Source].
func (s *Server) Events(ctx context.Context, q collect.EventQuery) (collect.EventPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ask(ctx, "events"); err != nil {
		return collect.EventPage{}, err
	}
	if s.NoEvents {
		return collect.EventPage{}, odcm.E(odcm.Denied, "octopus.forbidden", "EventView is missing.")
	}
	var fit []collect.Event
	for _, e := range slices.Backward(s.data.events) {
		if e.Number >= q.From && (q.To == 0 || e.Number <= q.To) {
			fit = append(fit, e)
		}
	}
	page := collect.EventPage{Total: len(fit)}
	fit = fit[min(q.Skip, len(fit)):]
	page.Events = fit[:min(s.cut(q.Take), len(fit))]
	return page, nil
}

// Runs implements [collect.Source].
func (s *Server) Runs(ctx context.Context, kind report.Kind, ids []string) (found []report.Deployment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ask(ctx, "runs"); err != nil {
		return nil, err
	}
	for _, d := range s.data.runs[kind] {
		if slices.Contains(ids, d.ID) {
			found = append(found, d)
		}
	}
	return found, nil
}

// List implements [collect.Source].
func (s *Server) List(ctx context.Context, kind report.Kind, skip, take int) ([]report.Deployment, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ask(ctx, "list"); err != nil {
		return nil, 0, err
	}
	all := slices.Clone(s.data.runs[kind])
	slices.Reverse(all)
	page := all[min(skip, len(all)):]
	return slices.Clone(page[:min(s.cut(take), len(page))]), len(all), nil
}

// Tasks implements [collect.Source].
func (s *Server) Tasks(ctx context.Context, ids []string) (map[string]collect.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]collect.Task{}
	if len(ids) == 0 {
		return found, nil
	}
	if err := s.ask(ctx, "tasks"); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if t, ok := s.data.tasks[id]; ok {
			found[id] = t
		}
	}
	return found, nil
}

// Releases implements [collect.Source].
func (s *Server) Releases(ctx context.Context, ids []string) (map[string]collect.Release, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]collect.Release{}
	if len(ids) == 0 {
		return found, nil
	}
	if err := s.ask(ctx, "releases"); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if r, ok := s.data.releases[id]; ok {
			found[id] = r
		}
	}
	return found, nil
}

// Names implements [collect.Source].
func (s *Server) Names(ctx context.Context) ([]report.Name, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ask(ctx, "names"); err != nil {
		return nil, err
	}
	return []report.Name{{ID: "Projects-1", Kind: "project", Name: "Web"}, {ID: "Projects-2", Kind: "project", Name: "Shop"},
		{ID: "Environments-1", Kind: "environment", Name: "Test"}, {ID: "Environments-2", Kind: "environment", Name: "Production"}}, nil
}

// Counts implements [collect.Source].
func (s *Server) Counts(ctx context.Context) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]int64{report.Targets: 3, report.TargetsIn("Healthy"): 2, report.TargetsIn("Unhealthy"): 1, report.Users: 4}, s.ask(ctx, "counts")
}

// Asked implements [collect.Source].
func (s *Server) Asked() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}
