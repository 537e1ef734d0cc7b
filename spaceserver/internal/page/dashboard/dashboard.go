// Package dashboard is the first page of a space: its projects by its environments, and what is deployed where.
package dashboard

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/spaceserver/internal/page/visit"
)

// Serve adds the page.
func Serve(d *visit.Desk) {
	d.Show("/app/{space}/dashboard", show)
}

// board is DashboardResource, as far as it is shown.
type board struct {
	Projects []project
	Groups   []group `json:"ProjectGroups"`
	Environments,
	Tenants []named
	Items []item
}

type named struct {
	ID   string `json:"Id"`
	Name string
}

type project struct {
	ID             string `json:"Id"`
	Name           string
	ProjectGroupID string   `json:"ProjectGroupId"`
	EnvironmentIDs []string `json:"EnvironmentIds"`
	IsDisabled     bool
	Mode           string `json:"TenantedDeploymentMode"`
}

type group struct {
	ID             string `json:"Id"`
	Name           string
	EnvironmentIDs []string `json:"EnvironmentIds"`
}

type item struct {
	ProjectID      string `json:"ProjectId"`
	EnvironmentID  string `json:"EnvironmentId"`
	TenantID       string `json:"TenantId"`
	ReleaseID      string `json:"ReleaseId"`
	TaskID         string `json:"TaskId"`
	ReleaseVersion string
	State          string
	QueueTime      *time.Time
	CompletedTime  *time.Time
	Created        *time.Time
	Waits          bool `json:"HasPendingInterruptions"`
	Warned         bool `json:"HasWarningsOrErrors"`
}

func (i item) state() string { return visit.StateOf(i.State, i.Waits, i.Warned) }

func (i item) at() time.Time {
	for _, t := range []*time.Time{i.CompletedTime, i.QueueTime, i.Created} {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// cell is what is deployed of a project to an environment: to no tenant, and to how many of them.
type cell struct {
	plain   *item
	tenants []*item
}

// newest of a cell: what its link leads to.
func (c *cell) newest() *item {
	newest := c.plain
	for _, t := range c.tenants {
		if newest == nil || t.at().After(newest.at()) {
			newest = t
		}
	}
	return newest
}

// worst is the state that needs attention most.
func (c *cell) worst() string {
	order := []string{"attention", "failed", "running", "queued", "canceling", "warnings", "canceled"}
	worst, rank := "succeeded", len(order)
	for _, i := range append(slices.Clone(c.tenants), c.plain) {
		if i == nil {
			continue
		}
		if at := slices.Index(order, i.state()); at >= 0 && at < rank {
			worst, rank = i.state(), at
		}
	}
	return worst
}

// versions tells what is deployed to the tenants: one version, or how many.
func (c *cell) versions() string {
	seen := map[string]bool{}
	for _, t := range c.tenants {
		seen[t.ReleaseVersion] = true
	}
	if len(seen) == 1 {
		return c.tenants[0].ReleaseVersion
	}
	return strconv.Itoa(len(seen)) + " releases"
}

// section is a project group on the board.
type section struct {
	group        group
	environments []named
	projects     []project
}

type view struct {
	board
	sections []section
	cells    map[[2]string]*cell
	shown    int
	total    int
	query    string
}

// most is how many projects one page shows: more are found by name, or by the pages that follow.
const most = 200

func show(v *visit.Visit) visit.Page {
	w := view{cells: map[[2]string]*cell{}, query: v.Query("q")}
	if v.May("ProjectView") {
		v.Into(&w.board, "dashboard")
	}
	w.arrange(atoi(v.Query("skip")))
	return visit.Page{Title: "Dashboard", Nav: visit.Dashboard, Actions: actions(v, w), Body: body(v, w)}
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (w *view) arrange(skip int) {
	for i := range w.Items {
		it := &w.Items[i]
		key := [2]string{it.ProjectID, it.EnvironmentID}
		c := w.cells[key]
		if c == nil {
			c = &cell{}
			w.cells[key] = c
		}
		if it.TenantID == "" {
			c.plain = it
		} else {
			c.tenants = append(c.tenants, it)
		}
	}
	byGroup := map[string][]project{}
	q := strings.ToLower(w.query)
	found := slices.DeleteFunc(slices.Clone(w.Projects), func(p project) bool { return !strings.Contains(strings.ToLower(p.Name), q) })
	w.total = len(found)
	found = found[min(skip, len(found)):]
	found = found[:min(most, len(found))]
	w.shown = len(found)
	for _, p := range found {
		byGroup[p.ProjectGroupID] = append(byGroup[p.ProjectGroupID], p)
	}
	for _, g := range w.Groups {
		if projects := byGroup[g.ID]; len(projects) > 0 {
			w.sections = append(w.sections, section{g, w.columns(g, projects), projects})
		}
	}
}

// columns are the environments that any of the group's projects can go to or is in.
func (w *view) columns(g group, projects []project) []named {
	wanted := map[string]bool{}
	for _, p := range projects {
		for _, id := range p.EnvironmentIDs {
			wanted[id] = true
		}
		for _, e := range w.Environments {
			if w.cells[[2]string{p.ID, e.ID}] != nil {
				wanted[e.ID] = true
			}
		}
	}
	var list []named
	for _, e := range w.Environments {
		if wanted[e.ID] {
			list = append(list, e)
		}
	}
	return list
}

// label says a cell in words, for those who do not see it.
func label(p project, e named, c *cell) string {
	if len(c.tenants) > 0 {
		return c.versions() + " of " + p.Name + " for " + tenantsOf(len(c.tenants)) + " in " + e.Name + ": " + design.LabelOf(c.worst())
	}
	return c.plain.ReleaseVersion + " of " + p.Name + " in " + e.Name + ": " + design.LabelOf(c.worst())
}

func tenantsOf(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return strconv.Itoa(n) + " tenants"
}

// href leads to the task of what was deployed last.
func (c *cell) href(v *visit.Visit) string {
	newest := c.newest()
	if newest.TaskID != "" {
		return "/tasks/" + newest.TaskID
	}
	return v.To("releases", newest.ReleaseID)
}
