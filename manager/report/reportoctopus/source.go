// Package reportoctopus asks Octopus servers what package collect wants to know, by way of octoclient: in the background,
// where a server's budget lets people's requests pass.
package reportoctopus

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"odcm"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// Source is a [collect.Source].
type Source struct {
	client *octoclient.Client
	space  string // the octopus.Space
	asked  atomic.Int64
}

var _ collect.Source = (*Source)(nil)

// New makes a source of the octopus.Space on the client's server. Whatever the client's priority, the source asks in the
// background.
func New(client *octoclient.Client, space string) *Source {
	return &Source{client: client.Background(), space: space}
}

// Asked implements [collect.Source].
func (s *Source) Asked() int64 { return s.asked.Load() }

func (s *Source) get(ctx context.Context, path string, query url.Values) (octopus.Object, error) {
	s.asked.Add(1)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return s.client.Get(ctx, path)
}

// page reads one page of a list.
func (s *Source) page(ctx context.Context, path string, query url.Values) (octopus.Page, error) {
	o, err := s.get(ctx, path, query)
	if err == nil && !o.Has("Items") {
		err = odcm.E(odcm.Invalid, "octopus.not-octopus", "The server's answer is not a list.")
	}
	return octopus.Page{Object: o}, err
}

// atOnce is how many identifiers go into one address: it stays below 2,000 characters, which every proxy takes.
const atOnce = 100

// these reads those of a list that have the identifiers.
func (s *Source) these(ctx context.Context, path string, query url.Values, ids []string) (all []octopus.Object, err error) {
	for some := range slices.Chunk(ids, atOnce) {
		q := url.Values{"ids": {strings.Join(some, ",")}, "take": {strconv.Itoa(len(some))}}
		for name, values := range query {
			q[name] = values
		}
		page, err := s.page(ctx, path, q)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items() {
			if slices.Contains(some, o.ID()) { // a server that does not know the parameter gives others
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// categories are the events that tell of runs.
var categories = strings.Join([]string{
	"DeploymentQueued", "DeploymentStarted", "DeploymentResumed", "DeploymentSucceeded", "DeploymentFailed",
	"RunbookRunQueued", "RunbookRunStarted", "RunbookRunSucceeded", "RunbookRunFailed", "TaskCanceled",
}, ",")

// Events implements [collect.Source].
func (s *Source) Events(ctx context.Context, q collect.EventQuery) (collect.EventPage, error) {
	query := url.Values{"eventCategories": {categories}, "spaces": {s.space}, "includeSystem": {"false"}, "excludeDifference": {"true"},
		"skip": {strconv.Itoa(q.Skip)}, "take": {strconv.Itoa(q.Take)}}
	if q.From > 0 {
		query.Set("fromAutoId", strconv.FormatInt(q.From, 10))
	}
	if q.To > 0 {
		query.Set("toAutoId", strconv.FormatInt(q.To, 10))
	}
	page, err := s.page(ctx, octopus.Route("events"), query)
	if err != nil {
		return collect.EventPage{}, err
	}
	found := collect.EventPage{Total: page.Total()}
	for _, o := range page.Items() {
		e, ok := EventOf(o)
		if !ok {
			found.Total-- // what has no number cannot be found again
			continue
		}
		if in := o.SpaceID(); in != "" && in != s.space {
			e.Kind, e.Run = "", "" // it counts for the paging, and tells nothing of this Space
		}
		found.Events = append(found.Events, e)
	}
	return found, nil
}

// EventOf reads an event; false where it is none.
func EventOf(o octopus.Object) (e collect.Event, ok bool) {
	_, number, ok := strings.Cut(o.ID(), "-")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n <= 0 {
		return e, false
	}
	e = collect.Event{Number: n, Category: o.Text("Category"), Occurred: o.Time("Occurred").UTC().Truncate(time.Millisecond), By: o.Text("Username")}
	for _, id := range o.Texts("RelatedDocumentIds") {
		noun, _, _ := strings.Cut(id, "-")
		switch noun {
		case "Deployments":
			e.Kind, e.Run = report.Deployments, id
		case "RunbookRuns":
			e.Kind, e.Run = report.RunbookRuns, id
		case "ServerTasks":
			e.Task = id
		case "Projects":
			e.Project = id
		case "Environments":
			e.Environment = id
		case "Tenants":
			e.Tenant = id
		case "Releases":
			e.Release = id
		case "Runbooks":
			e.Runbook = id
		case "Channels":
			e.Channel = id
		}
	}
	return e, true
}

func route(kind report.Kind) string {
	if kind == report.RunbookRuns {
		return "runbookRuns"
	}
	return "deployments"
}

// Runs implements [collect.Source].
func (s *Source) Runs(ctx context.Context, kind report.Kind, ids []string) ([]report.Deployment, error) {
	found, err := s.these(ctx, octopus.SpaceRoute(s.space, route(kind)), nil, ids)
	return s.runs(kind, found), err
}

// List implements [collect.Source].
func (s *Source) List(ctx context.Context, kind report.Kind, skip, take int) ([]report.Deployment, int, error) {
	page, err := s.page(ctx, octopus.SpaceRoute(s.space, route(kind)), url.Values{"skip": {strconv.Itoa(skip)}, "take": {strconv.Itoa(take)}})
	if odcm.KindOf(err) == odcm.NotFound && kind == report.RunbookRuns {
		return nil, 0, nil // a version that has no list of them
	}
	return s.runs(kind, page.Items()), page.Total(), err
}

func (s *Source) runs(kind report.Kind, found []octopus.Object) []report.Deployment {
	all := make([]report.Deployment, 0, len(found))
	for _, o := range found {
		if o.ID() == "" {
			continue
		}
		all = append(all, report.Deployment{Kind: kind, ID: o.ID(), Task: o.Text("TaskId"), Project: o.Text("ProjectId"), Environment: o.Text("EnvironmentId"),
			Tenant: o.Text("TenantId"), Channel: o.Text("ChannelId"), Runbook: o.Text("RunbookId"), Release: o.Text("ReleaseId"), By: o.Text("DeployedBy"),
			Created: o.Time("Created").UTC(), Whole: true})
	}
	return all
}

var outcomes = map[string]report.Outcome{"Queued": report.Queued, "Executing": report.Running, "Cancelling": report.Running, "Success": report.Succeeded,
	"Failed": report.Failed, "Canceled": report.Canceled, "TimedOut": report.TimedOut}

// Tasks implements [collect.Source].
func (s *Source) Tasks(ctx context.Context, ids []string) (map[string]collect.Task, error) {
	found, err := s.these(ctx, octopus.Route("tasks"), url.Values{"spaces": {s.space}}, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[string]collect.Task, len(found))
	for _, o := range found {
		outcome, ok := outcomes[o.Text("State")]
		if !ok {
			outcome = report.Running // a state of a newer version
			if o.Bool("IsCompleted") {
				outcome = report.Failed
				if o.Bool("FinishedSuccessfully") {
					outcome = report.Succeeded
				}
			}
		}
		arguments := o.Object("Arguments")
		run := arguments.Text("DeploymentId")
		if run == "" {
			run = arguments.Text("RunbookRunId")
		}
		all[o.ID()] = collect.Task{Run: run, Outcome: outcome, Started: o.Time("StartTime").UTC(), Ended: o.Time("CompletedTime").UTC()}
	}
	return all, nil
}

// Releases implements [collect.Source].
func (s *Source) Releases(ctx context.Context, ids []string) (map[string]collect.Release, error) {
	found, err := s.these(ctx, octopus.SpaceRoute(s.space, "releases"), nil, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[string]collect.Release, len(found))
	for _, o := range found {
		all[o.ID()] = collect.Release{Version: o.Text("Version"), Released: o.Time("Assembled").UTC()}
	}
	return all, nil
}

// Names implements [collect.Source].
func (s *Source) Names(ctx context.Context) ([]report.Name, error) {
	names := []report.Name{}
	for _, of := range []struct{ route, kind string }{{"projects", "project"}, {"environments", "environment"}, {"tenants", "tenant"}} {
		found, err := s.all(ctx, octopus.SpaceRoute(s.space, of.route))
		if lacks(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if o.ID() != "" {
				names = append(names, report.Name{ID: o.ID(), Kind: of.kind, Name: o.Name()})
			}
		}
	}
	return names, nil
}

// all reads a whole list: in one request, or page by page where that would be too large.
func (s *Source) all(ctx context.Context, path string) ([]octopus.Object, error) {
	s.asked.Add(1)
	found, err := s.client.All(ctx, path)
	if odcm.CodeOf(err) != "octopus.too-large" {
		return found, err
	}
	for page, err := range s.client.Pages(ctx, path) {
		s.asked.Add(1)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Items()...)
	}
	return found, nil
}

// healths are the states of a target in Octopus.
var healths = []string{"Healthy", "HasWarnings", "Unhealthy", "Unavailable", "Unknown"}

// Counts implements [collect.Source]. It asks for one item of each list and believes the total.
func (s *Source) Counts(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	total := func(metric, path string, query url.Values) error {
		query.Set("take", "1")
		page, err := s.page(ctx, path, query)
		if lacks(err) {
			return nil
		}
		if err == nil {
			counts[metric] = int64(page.Total())
		}
		return err
	}
	machines := octopus.SpaceRoute(s.space, "machines")
	if err := total(report.Targets, machines, url.Values{}); err != nil {
		return nil, err
	}
	if err := total(report.Releases, octopus.SpaceRoute(s.space, "releases"), url.Values{}); err != nil {
		return nil, err
	}
	if err := total(report.Users, octopus.Route("users"), url.Values{}); err != nil {
		return nil, err
	}
	if counts[report.Targets] == 0 {
		return counts, nil
	}
	var sum int64
	for _, health := range healths {
		if err := total(report.TargetsIn(health), machines, url.Values{"healthStatuses": {health}}); err != nil {
			return nil, err
		}
		sum += counts[report.TargetsIn(health)]
	}
	if sum != counts[report.Targets] { // a version that does not know the filter gives all each time
		for _, health := range healths {
			delete(counts, report.TargetsIn(health))
		}
	}
	return counts, nil
}

// lacks tells that the key may not read it, or that this server does not have it.
func lacks(err error) bool {
	switch odcm.KindOf(err) {
	case odcm.Denied, odcm.NotFound, odcm.Unsupported:
		return true
	}
	return false
}
