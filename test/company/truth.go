package company

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"odcm/api"
	"odcm/octopus"
)

// Ends are how runs ended, in the order of the report's columns: succeeded, failed, canceled, under way.
type Ends [4]int

// states are those of Octopus, each with its place in [Ends].
var states = map[string]int{"Success": 0, "Failed": 1, "TimedOut": 1, "Canceled": 2, "Queued": 3, "Executing": 3, "Cancelling": 3}

// Figures are what a report says, by its rows: "Payments", or "Payments/Web".
type Figures map[string]Ends

// truth asks the Space itself, project by project and environment by environment.
func (s *Space) truth(ctx context.Context, of map[string]Figures) error {
	add := func(report, row string, place, n int) {
		if n == 0 {
			return
		}
		ends := of[report][row]
		ends[place] += n
		of[report][row] = ends
	}
	for state, place := range states {
		for project, p := range s.projects {
			for environment, e := range s.environments {
				n, err := s.total(ctx, octopus.SpaceRoute(octopusSpace, "deployments"), url.Values{"projects": {p}, "environments": {e}, "taskState": {state}})
				if err != nil {
					return err
				}
				add("by=space", s.Name, place, n)
				add("by=project", s.Name+"/"+project, place, n)
				add("by=environment", s.Name+"/"+environment, place, n)
				add("by=environment&project=web", s.Name+"/"+environment, place, map[bool]int{true: n}[project == "Web"])
			}
		}
		n, err := s.total(ctx, octopus.SpaceRoute(octopusSpace, "runbookRuns"), url.Values{"taskState": {state}})
		if err != nil {
			return err
		}
		add("kind=runbook-run", s.Name, place, n)
	}
	return nil
}

// Truth is what the Spaces say themselves, by the query of the report that is to say the same.
func (c *Company) Truth(ctx context.Context) (map[string]Figures, error) {
	of := map[string]Figures{"by=space": {}, "by=project": {}, "by=environment": {}, "by=environment&project=web": {}, "kind=runbook-run": {}}
	for _, s := range c.Spaces {
		if err := s.truth(ctx, of); err != nil {
			return nil, err
		}
	}
	return of, nil
}

// Report reads a whole report.
func (c *Company) Report(ctx context.Context, name, query string) (r api.Report, err error) {
	return r, c.Ask(ctx, http.MethodGet, "/reports/"+name+"?limit=1000&"+query, nil, &r)
}

// Column is where a report has the column.
func Column(r api.Report, key string) int {
	return slices.IndexFunc(r.Columns, func(c api.ReportColumn) bool { return c.Key == key })
}

// Differs says where the manager's figures are not those of the Spaces; nothing where all are equal.
func (c *Company) Differs(ctx context.Context, truth map[string]Figures) (string, error) {
	for query, want := range truth {
		r, err := c.Report(ctx, "deployments", query)
		if err != nil {
			return "", err
		}
		got := Figures{}
		at := Column(r, "succeeded")
		for _, row := range r.Rows {
			name := fmt.Sprint(row[Column(r, "space")])
			if at > 2 { // a column of its own names the project or the environment
				name += "/" + fmt.Sprint(row[0])
			}
			var ends Ends
			for i := range ends {
				n, _ := row[at+i].(float64)
				ends[i] = int(n)
			}
			got[name] = ends
		}
		if !maps.Equal(got, want) {
			return fmt.Sprintf("%s: reported %v, the Spaces say %v", query, got, want), nil
		}
	}
	return "", nil
}

// HeldDiffers says where the report of what Spaces hold is not what they say.
func (c *Company) HeldDiffers(ctx context.Context) (string, error) {
	r, err := c.Report(ctx, "inventory", "")
	if err != nil {
		return "", err
	}
	got, want := map[string]string{}, map[string]string{}
	for _, row := range r.Rows {
		got[fmt.Sprint(row[0])] = fmt.Sprint(row[Column(r, "projects")], " ", row[Column(r, "targets")])
	}
	for _, s := range c.Spaces {
		projects, err := s.total(ctx, octopus.SpaceRoute(octopusSpace, "projects"), url.Values{})
		if err != nil {
			return "", err
		}
		targets, err := s.total(ctx, octopus.SpaceRoute(octopusSpace, "machines"), url.Values{})
		if err != nil {
			return "", err
		}
		want[s.Name] = fmt.Sprint(projects, " ", targets)
	}
	if !maps.Equal(got, want) {
		return fmt.Sprintf("reported %v, the Spaces say %v", got, want), nil
	}
	return "", nil
}

// Asked is how many requests were made of each server for reports, by its address, and how many were refused until the manager was
// last stopped, which is when it last wrote that down.
func (c *Company) Asked(ctx context.Context) (of map[string]float64, refused float64, err error) {
	r, err := c.Report(ctx, "requests", "")
	if err != nil {
		return nil, 0, err
	}
	of = map[string]float64{}
	for _, row := range r.Rows {
		n, _ := row[Column(r, "reports")].(float64)
		limited, _ := row[Column(r, "limited")].(float64)
		if background, _ := row[Column(r, "background")].(float64); background == 0 {
			return nil, 0, fmt.Errorf("nothing was asked of %v", row[0])
		}
		of[strings.TrimSuffix(fmt.Sprint(row[0]), "/")], refused = n, refused+limited
	}
	return of, refused, nil
}

// Affordable is how many requests a Space may be asked for reports of so many deployments: something for its names, counts and
// lists, and one for five deployments.
func Affordable(deployments int) float64 { return 40 + float64(deployments)/5 }
