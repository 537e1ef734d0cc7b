package dashboard

import (
	"bytes"
	"encoding/xml"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/problem"
)

// countedByWeek counts the deployments of the last year by project, week and environment (ReportDeploymentCountOverTimeResource).
// Weeks begin on Monday, in UTC.
func countedByWeek(c *collection.Call) (any, error) {
	if err := part.Needs(c, "DeploymentView"); err != nil {
		return nil, err
	}
	projects, err := part.Seen(c, "Projects")
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	counts, err := ledger.Weeks(c.Context, c.Service.Store.DB.Read(), c.Space, c.Service.Now().AddDate(-1, 0, 0))
	if err != nil {
		return nil, err
	}
	var weeks []time.Time
	for at := ledger.Week(c.Service.Now().AddDate(-1, 0, 0)); !at.After(c.Service.Now()); at = at.AddDate(0, 0, 7) {
		weeks = append(weeks, at)
	}
	all := []any{}
	for _, d := range projects {
		if len(counts[d.ID]) == 0 {
			continue
		}
		labels, series := []string{}, []any{}
		for _, w := range weeks {
			labels = append(labels, w.Format("2006-01-02"))
		}
		for _, e := range environments {
			if !sees(c, ledger.Entry{Kind: ledger.Deployments, Space: c.Space, Project: d.ID, Environment: e.ID}, d.Object()) {
				continue
			}
			of, sum := []int{}, 0
			for _, w := range weeks {
				n := counts[d.ID][ledger.Cell{Environment: e.ID, Week: w.UnixMilli()}]
				of, sum = append(of, n), sum+n
			}
			if sum > 0 {
				series = append(series, map[string]any{"Label": e.Object().Text("Name"), "Data": of})
			}
		}
		all = append(all, map[string]any{"Id": d.ID, "ProjectId": d.ID, "ReportData": map[string]any{"Labels": labels, "Series": series}, "Links": map[string]string{}})
	}
	return all, nil
}

// row is a deployment in the report of what was deployed.
type row struct {
	XMLName         xml.Name `xml:"Deployment"`
	DeploymentID    string   `xml:"DeploymentId"`
	DeploymentName  string
	ProjectID       string `xml:"ProjectId"`
	ProjectName     string
	ProjectSlug     string
	TenantID        string `xml:"TenantId"`
	TenantName      string
	ChannelID       string `xml:"ChannelId"`
	EnvironmentID   string `xml:"EnvironmentId"`
	EnvironmentName string
	ReleaseID       string `xml:"ReleaseId"`
	ReleaseVersion  string
	TaskID          string `xml:"TaskId"`
	TaskState       string
	Created         string
	QueueTime       string
	StartTime       string
	CompletedTime   string
	DeployedBy      string
}

// reported is how many deployments a report has at most: the newest.
const reported = 10_000

// history reports what was deployed as XML, the newest first: from a time, to a time, of a project, where the query says so.
func history(c *collection.Call) (any, error) {
	if err := part.Needs(c, "DeploymentView"); err != nil {
		return nil, err
	}
	from, err := part.ParseMoment(c.Query.Get("fromCompletedTime"))
	if err != nil {
		return nil, problem.Invalid("fromCompletedTime is not a time: write it as 2026-01-31T12:00:00Z.")
	}
	to, err := part.ParseMoment(c.Query.Get("toCompletedTime"))
	if err != nil {
		return nil, problem.Invalid("toCompletedTime is not a time: write it as 2026-01-31T12:00:00Z.")
	}
	projects, err := part.Seen(c, "Projects")
	if err != nil {
		return nil, err
	}
	entries, err := ledger.List(c.Context, c.Service.Store.DB.Read(), ledger.Query{Kind: ledger.Deployments, Space: c.Space, Project: c.Query.Get("projectId"), From: from.Time, To: to.Time, Take: reported})
	if err != nil {
		return nil, err
	}
	known := map[string]map[string]octopus.Object{"Projects": {}}
	for _, d := range projects {
		known["Projects"][d.ID] = d.Object()
	}
	ids := map[string][]string{}
	for _, e := range entries {
		ids[ledger.Deployments], ids["Environments"], ids["Tenants"] = append(ids[ledger.Deployments], e.ID), append(ids["Environments"], e.Environment), append(ids["Tenants"], e.Tenant)
	}
	read, err := newReading(c, entries)
	if err != nil {
		return nil, err
	}
	for kind, list := range ids {
		if known[kind], err = read.These(kind, list); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Deployments>\n")
	for _, e := range entries {
		project, seen := known["Projects"][e.Project]
		if !seen || !sees(c, e, project) {
			continue
		}
		text, err := xml.MarshalIndent(read.row(e, known), "  ", "  ")
		if err != nil {
			return nil, err
		}
		b.Write(append(text, '\n'))
	}
	b.WriteString("</Deployments>\n")
	return collection.Content{Type: "application/xml; charset=utf-8", Body: &b}, nil
}

func (r reading) row(e ledger.Entry, known map[string]map[string]octopus.Object) row {
	task, project, made := r.found[tasks][e.Task], known["Projects"][e.Project], known[ledger.Deployments][e.ID]
	completed := ""
	if e.Ended() {
		completed = e.Completed.Format(time.RFC3339)
	}
	return row{DeploymentID: e.ID, DeploymentName: made.Text("Name"), ProjectID: e.Project, ProjectName: project.Text("Name"), ProjectSlug: project.Text("Slug"), TenantID: e.Tenant,
		TenantName: known["Tenants"][e.Tenant].Text("Name"), ChannelID: e.Channel, EnvironmentID: e.Environment, EnvironmentName: known["Environments"][e.Environment].Text("Name"), ReleaseID: e.Source,
		ReleaseVersion: r.found[releases][e.Source].Version, TaskID: e.Task, TaskState: e.State, Created: e.Created.Format(time.RFC3339), QueueTime: text(task.QueueTime),
		StartTime: text(task.StartTime), CompletedTime: completed, DeployedBy: made.Text("DeployedBy")}
}

// text is a member's text, "" for null.
func text(member *string) string {
	if member == nil {
		return ""
	}
	return *member
}
