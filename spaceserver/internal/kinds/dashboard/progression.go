package dashboard

import (
	"net/url"
	"slices"
	"strconv"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/lifecycle"
	"odcm/spaceserver/internal/permission"
)

func target(e ledger.Entry, project octopus.Object) permission.Target {
	t := permission.Target{Space: e.Space, Project: e.Project, ProjectGroup: project.Text("ProjectGroupId"), Environments: []string{e.Environment}}
	if e.Tenant != "" {
		t.Tenants = []string{e.Tenant}
	}
	return t
}

// recent is how many of a project's newest releases its progression shows.
const recent = 30

// progression shows the newest releases of a project, where they are and where they can go (ProgressionResource).
func progression(c *collection.Call) (any, error) {
	owner, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	r, project := part.Outside(c, owner.Space), owner.Object()
	if !part.Allowed(c, "ReleaseView") {
		return map[string]any{"Id": owner.ID, "Environments": references(environments), "ChannelEnvironments": map[string]any{}, "Releases": []any{}, "Links": map[string]string{"Self": collection.Base(owner.Space) + "/progression/" + owner.ID}}, nil
	}
	ways, byChannel, err := channelWays(r, project, environments)
	if err != nil {
		return nil, err
	}
	take := collection.Number(c.Query, "releaseHistoryCount", recent)
	list := c.Request
	list.Query = url.Values{"take": {strconv.Itoa(min(max(take, 1), 1000))}}
	newest, err := c.Service.List(c.Context, list, c.Service.Kind("Releases"), collection.Listing{Owner: owner.ID})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range newest.Items {
		ids = append(ids, d.ID)
	}
	shown, err := deployed(c, project, ids)
	if err != nil {
		return nil, err
	}
	blocked, err := defects(r, ids)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, d := range newest.Items {
		w := ways[d.Object().Text("ChannelId")]
		h := shown.history(d.ID, blocked[d.ID])
		all = append(all, map[string]any{"Release": d, "Channel": w.channel, "Deployments": shown.byEnvironment(d.ID), "NextDeployments": lifecycle.Measure(w.phases, h).Next(h), "HasUnresolvedDefect": blocked[d.ID],
			"ReleaseRetentionPeriod": w.period("ReleaseRetentionPolicy"), "TentacleRetentionPeriod": w.period("TentacleRetentionPolicy")})
	}
	return map[string]any{"Id": owner.ID, "Environments": references(environments), "ChannelEnvironments": byChannel, "Releases": all,
		"Links": map[string]string{"Self": collection.Base(owner.Space) + "/progression/" + owner.ID}}, nil
}

// way is where releases of a channel go.
type way struct {
	channel, lifecycle octopus.Object
	phases             []lifecycle.Phase
}

func (w way) period(member string) any {
	if value, ok := w.lifecycle.Get(member); ok {
		return value
	}
	return nil
}

func channelWays(r part.Reader, project octopus.Object, environments []collection.Document) (map[string]way, map[string][]part.Reference, error) {
	channels, err := r.List(document.Query{Kind: "Channels", Owner: project.Text("Id")})
	if err != nil {
		return nil, nil, err
	}
	all, err := deployment.Environments(r)
	if err != nil {
		return nil, nil, err
	}
	ways, byChannel := map[string]way{}, map[string][]part.Reference{}
	for _, ch := range channels {
		w := way{channel: ch}
		if w.lifecycle, w.phases, err = deployment.PhasesOf(r, project, ch, all); err != nil {
			return nil, nil, err
		}
		id := ch.Text("Id")
		ways[id], byChannel[id] = w, []part.Reference{}
		reached := lifecycle.Environments(w.phases)
		for _, e := range environments {
			if slices.Contains(reached, e.ID) {
				byChannel[id] = append(byChannel[id], part.Refer(e.ID, e.Object().Text("Name")))
			}
		}
	}
	return ways, byChannel, nil
}

// deployments are what became of some releases, the newest first.
type deployments struct {
	reading
	of   map[string][]ledger.Entry
	good map[string]bool
}

// deployed reads where releases went: the newest deployment of each to each environment and tenant.
func deployed(c *collection.Call, project octopus.Object, ids []string) (d deployments, err error) {
	d.of, d.good = map[string][]ledger.Entry{}, map[string]bool{}
	if len(ids) == 0 {
		return d, nil
	}
	entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), ledger.Query{Kind: ledger.Deployments, Sources: ids})
	if err != nil {
		return d, err
	}
	var shown []ledger.Entry
	seen := map[string]bool{}
	for _, e := range entries {
		if e.State == "Success" {
			d.good[e.Source+" "+e.Environment] = true
		}
		place := e.Source + " " + e.Environment + " " + e.Tenant
		if !seen[place] && sees(c, e, project) {
			shown = append(shown, e)
			d.of[e.Source] = append(d.of[e.Source], e)
		}
		seen[place] = true
	}
	d.reading, err = newReading(c, shown)
	return d, err
}

func (d deployments) byEnvironment(release string) map[string][]any {
	shown := map[string][]any{}
	for _, e := range d.of[release] {
		shown[e.Environment] = append(shown[e.Environment], d.item(e, e.Newest, false))
	}
	return shown
}

func (d deployments) history(release string, blocked bool) lifecycle.History {
	h := lifecycle.History{Succeeded: map[string]bool{}, Attempted: map[string]bool{}, Blocked: blocked}
	for _, e := range d.of[release] {
		h.Attempted[e.Environment] = true
		h.Succeeded[e.Environment] = d.good[release+" "+e.Environment]
	}
	return h
}

// defects tells which of the releases have one that is not resolved.
func defects(r part.Reader, releases []string) (map[string]bool, error) {
	blocked := map[string]bool{}
	for _, id := range releases {
		list, err := r.List(document.Query{Kind: "Defects", Owner: id})
		if err != nil {
			return nil, err
		}
		blocked[id] = slices.ContainsFunc(list, func(o octopus.Object) bool { return o.Text("Status") == "Unresolved" })
	}
	return blocked, nil
}

// runbookProgression shows the newest run of each of a project's runbooks, by environment (RunbooksProgressionResource).
func runbookProgression(c *collection.Call) (any, error) {
	owner, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), ledger.Query{Kind: ledger.RunbookRuns, Space: owner.Space, Project: owner.ID, Shown: true})
	if err != nil {
		return nil, err
	}
	project := owner.Object()
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return !e.Newest || !sees(c, e, project) })
	read, err := newReading(c, entries)
	if err != nil {
		return nil, err
	}
	runs := map[string][]any{}
	for _, e := range entries {
		runs[e.Environment] = append(runs[e.Environment], read.run(e))
	}
	return map[string]any{"Id": owner.ID, "Environments": references(environments), "RunbooksSummary": []any{}, "RunbookRuns": runs,
		"Links": map[string]string{"Self": collection.Base(owner.Space) + "/progression/runbooks/" + owner.ID}}, nil
}

// taskRuns lists the newest runs of runbooks, of some projects, runbooks or tasks where the query names them.
func taskRuns(c *collection.Call) (any, error) {
	const most = 1000
	projects, err := part.Seen(c, "Projects")
	if err != nil {
		return nil, err
	}
	byID := map[string]octopus.Object{}
	for _, d := range projects {
		byID[d.ID] = d.Object()
	}
	entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), ledger.Query{Kind: ledger.RunbookRuns, Space: c.Space, Project: only(collection.Split(c.Query, "projectIds")), Take: most})
	if err != nil {
		return nil, err
	}
	wanted := func(parameter, id string) bool {
		ids := collection.Split(c.Query, parameter)
		return len(ids) == 0 || slices.Contains(ids, id)
	}
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool {
		o, seen := byID[e.Project]
		return !seen || !wanted("projectIds", e.Project) || !wanted("runbookIds", e.Line) || !wanted("environmentIds", e.Environment) || !wanted("taskIds", e.Task) || !sees(c, e, o)
	})
	page := part.Page(c, "RunbooksDashboardItem", "progression/runbooks/taskRuns", entries)
	read, err := newReading(c, page.Items)
	if err != nil {
		return nil, err
	}
	items := []runItem{}
	for _, e := range page.Items {
		items = append(items, read.run(e))
	}
	return collection.Page[runItem]{ItemType: page.ItemType, Items: items, Total: page.Total, Skip: page.Skip, Take: page.Take, Path: page.Path, Template: page.Template}, nil
}
