package summary

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/manager/report"
)

// inventory tells what each Space holds, and how that changed.
func (s *Service) inventory(ctx context.Context, v *view) error {
	r := v.Request
	metrics := []string{report.Projects, report.Targets, report.TargetsIn("Healthy"), report.TargetsIn("HasWarnings"), report.TargetsIn("Unhealthy"), report.TargetsIn("Unavailable"), report.Environments, report.Tenants, report.Users, report.Releases}
	samples, err := s.o.Store.Samples(ctx, v.spaces, metrics, r.From, r.To)
	if err != nil {
		return err
	}
	first, last := map[odcm.SpaceID]map[string]int64{}, map[odcm.SpaceID]map[string]int64{}
	bounds := r.bounds()
	projects, targets := Series{Name: "Projects", Tone: "accent"}, Series{Name: "Targets", Tone: "success"}
	at := 0
	for i := range len(bounds) - 1 {
		for ; at < len(samples) && samples[at].Day.Before(bounds[i+1]); at++ {
			m := samples[at]
			if last[m.Space] == nil {
				first[m.Space], last[m.Space] = map[string]int64{}, map[string]int64{}
			}
			if _, ok := first[m.Space][m.Metric]; !ok {
				first[m.Space][m.Metric] = m.N
			}
			last[m.Space][m.Metric] = m.N
		}
		projects.Values, targets.Values = append(projects.Values, 0), append(targets.Values, 0)
		for _, of := range last { // a day without a sample is as the one before
			projects.Values[i] += float64(of[report.Projects])
			targets.Values[i] += float64(of[report.Targets])
		}
	}
	v.Charts = []Chart{{Title: "Projects and targets by " + r.Period, Lines: true, Labels: r.labels(bounds), Series: []Series{projects, targets}, Unit: Number}}
	v.Columns = []Column{{"space", "Space", Text}, {"projects", "Projects", Number}, {"projects-change", "Change", Number}, {"targets", "Targets", Number}, {"targets-change", "Change", Number},
		{"unhealthy", "Not healthy", Number}, {"environments", "Environments", Number}, {"tenants", "Tenants", Number}, {"users", "Users", Number}, {"releases", "Releases", Number}}
	var sums [3]int64
	for id, of := range last {
		cell := func(metric string) Cell {
			if n, ok := of[metric]; ok {
				return number(n)
			}
			return none()
		}
		change := func(metric string) Cell {
			if n, ok := of[metric]; ok {
				return number(n - first[id][metric])
			}
			return none()
		}
		ill := none()
		if healthy, ok := of[report.TargetsIn("Healthy")]; ok || of[report.Targets] == 0 {
			ill = number(of[report.Targets] - healthy)
			sums[2] += of[report.Targets] - healthy
		}
		sums[0], sums[1] = sums[0]+of[report.Projects], sums[1]+of[report.Targets]
		v.Rows = append(v.Rows, Row{Link: v.link(id), Cells: []Cell{word(v.called(id)), cell(report.Projects), change(report.Projects), cell(report.Targets), change(report.Targets), ill,
			cell(report.Environments), cell(report.Tenants), cell(report.Users), cell(report.Releases)}})
	}
	v.figure("Spaces", Thousands(float64(len(last))), "with figures in this time")
	v.figure("Projects", Thousands(float64(sums[0])), "")
	v.figure("Targets", Thousands(float64(sums[1])), Thousands(float64(sums[2]))+" not healthy")
	v.note("Each Space is asked once a day. A person who has a user on several servers is counted on each.")
	if err := s.complete(ctx, v); err != nil {
		return err
	}
	return v.finish("space", false)
}

// versions counts Spaces by the version of their server.
func (s *Service) versions(ctx context.Context, v *view) error {
	shown := v.shown()
	servers, err := s.o.Fleet.Servers(ctx, shown)
	if err != nil {
		return err
	}
	named := map[string][]string{}
	for _, id := range shown {
		version := cmp.Or(servers[id].Version, "not known")
		named[version] = append(named[version], v.called(id))
	}
	v.Columns = []Column{{"version", "Version", Text}, {"spaces", "Spaces", Number}, {"share", "Share", Percent}, {"names", "Which", Text}}
	versions := slices.SortedFunc(maps.Keys(named), func(a, b string) int { return cmp.Or(cmp.Compare(len(named[b]), len(named[a])), cmp.Compare(b, a)) })
	chart := Chart{Title: "Spaces by version", Unit: Number, Series: []Series{{Name: "Spaces", Tone: "accent"}}}
	const mostNames, mostBars = 8, 20
	for i, version := range versions {
		all := named[version]
		text := strings.Join(all[:min(len(all), mostNames)], ", ")
		if len(all) > mostNames {
			text += fmt.Sprintf(" and %d more", len(all)-mostNames)
		}
		v.Rows = append(v.Rows, Row{Cells: []Cell{word(version), number(len(all)), part(int64(len(all)), int64(len(shown))), word(text)}})
		if i < mostBars {
			chart.Labels = append(chart.Labels, version)
			chart.Series[0].Values = append(chart.Series[0].Values, float64(len(all)))
		}
	}
	v.Charts = []Chart{chart}
	v.figure("Spaces", Thousands(float64(len(shown))), "")
	v.figure("Versions", Thousands(float64(len(versions))), "")
	v.note("As the servers said when they were last looked at, whatever the time that was chosen.")
	return v.finish("spaces", true)
}

// people tells who signed in.
func (s *Service) people(ctx context.Context, v *view) error {
	r := v.Request
	all, err := s.o.Store.SignIns(ctx, r.From, r.To)
	if err != nil {
		return err
	}
	bounds := r.bounds()
	times, persons := Series{Name: "Sign-ins", Tone: "neutral"}, Series{Name: "People", Tone: "accent"}
	type person struct {
		name string
		n    int64
		last time.Time
	}
	known := map[odcm.UserID]*person{}
	var total int64
	at := 0
	for i := range len(bounds) - 1 {
		var n int64
		distinct := map[odcm.UserID]bool{}
		for ; at < len(all) && all[at].At.Before(bounds[i+1]); at++ {
			in := all[at]
			n += in.N
			distinct[in.User] = true
			if known[in.User] == nil {
				known[in.User] = &person{}
			}
			known[in.User].name, known[in.User].last = in.Name, in.At
			known[in.User].n += in.N
		}
		total += n
		times.Values, persons.Values = append(times.Values, float64(n)), append(persons.Values, float64(len(distinct)))
	}
	v.Charts = []Chart{{Title: "People and sign-ins by " + r.Period, Lines: true, Labels: r.labels(bounds), Series: []Series{persons, times}, Unit: Number}}
	v.Columns = []Column{{"person", "Person", Text}, {"sign-ins", "Sign-ins", Number}, {"last", "Last", Day}}
	for id, p := range known {
		v.Rows = append(v.Rows, Row{Cells: []Cell{word(p.name), number(p.n), number(midnight(p.last, r.Zone).Unix() + int64(offset(p.last, r.Zone)))}, Link: "/users/" + string(id)})
	}
	v.figure("People", Thousands(float64(len(known))), "who signed in")
	v.figure("Sign-ins", Thousands(float64(total)), "")
	v.note("Counted are sign-ins to ODCM, by whatever way; going on to a Space with the same session is none.")
	if err := s.complete(ctx, v); err != nil {
		return err
	}
	return v.finish("sign-ins", true)
}

// offset is how far the zone is before UTC, so that the day of the zone can be written as a day of UTC.
func offset(t time.Time, zone *time.Location) int {
	_, seconds := t.In(zone).Zone()
	return seconds
}

// requests tells what was asked of each server.
func (s *Service) requests(ctx context.Context, v *view) error {
	r := v.Request
	on := map[string][]odcm.SpaceID{}
	for _, id := range v.shown() {
		on[v.described[id].Server] = append(on[v.described[id].Server], id)
	}
	readings, err := s.o.Store.Readings(ctx, r.From, r.To)
	if err != nil {
		return err
	}
	bounds := r.bounds()
	people, ours, pings := Series{Name: "For people", Tone: "accent"}, Series{Name: "In the background", Tone: "success"}, Series{Name: "Probes", Tone: "neutral"}
	used := map[string]report.Usage{}
	at := 0
	for i := range len(bounds) - 1 {
		var n report.Usage
		for ; at < len(readings) && readings[at].At.Before(bounds[i+1]); at++ {
			if u := readings[at]; on[u.Server] != nil {
				n, used[u.Server] = n.Add(u.Usage), used[u.Server].Add(u.Usage)
			}
		}
		people.Values, ours.Values, pings.Values = append(people.Values, float64(n.People)), append(ours.Values, float64(n.Background)), append(pings.Values, float64(n.Pings))
	}
	v.Charts = []Chart{{Title: "Requests by " + r.Period, Labels: r.labels(bounds), Series: []Series{people, ours, pings}, Unit: Number}}
	v.Columns = []Column{{"server", "Server", Text}, {"spaces", "Spaces", Number}, {"people", "For people", Number}, {"background", "In the background", Number}, {"probes", "Probes", Number},
		{"retries", "Sent again", Number}, {"limited", "Refused (429)", Number}, {"budget", "Of the budget", Percent}, {"reports", "For reports, ever", Number}}
	until := r.To
	if now := s.o.Now(); until.After(now) {
		until = now
	}
	budget := s.o.PerSecond * max(1, until.Sub(r.From).Seconds())
	var all report.Usage
	for server, spaces := range on {
		u := used[server]
		all = all.Add(u)
		var forReports int64
		for _, id := range spaces {
			forReports += v.standings[id].Requests
		}
		v.Rows = append(v.Rows, Row{Cells: []Cell{word(server), number(len(spaces)), number(u.People), number(u.Background), number(u.Pings), number(u.Retries), number(u.Limited),
			number(float64(u.People+u.Background) / budget), number(forReports)}})
	}
	v.figure("Requests", Thousands(float64(all.People+all.Background)), Thousands(float64(all.Background))+" in the background")
	v.figure("Probes", Thousands(float64(all.Pings)), "")
	v.figure("Refused by servers", Thousands(float64(all.Limited)), "answers 429")
	v.note("The budget is %s requests a second for each server; probes are not in it. Counted by the hour.", Thousands(s.o.PerSecond))
	if err := s.complete(ctx, v); err != nil {
		return err
	}
	return v.finish("background", true)
}

// licences tells what is used of what was bought. Spaces on one server share its licence.
func (s *Service) licences(ctx context.Context, v *view) error {
	shown := v.shown()
	servers, err := s.o.Fleet.Servers(ctx, shown)
	if err != nil {
		return err
	}
	v.Columns = []Column{{"server", "Server", Text}, {"licence", "Licence", Text}, {"limit", "Limit", Text}, {"used", "Used", Number}, {"allowed", "Bought", Number}, {"share", "Share", Percent},
		{"days", "Days left", Number}}
	seen := map[string]bool{}
	unknown, full := 0, 0
	for _, id := range shown {
		server := v.described[id].Server
		if seen[server] {
			continue
		}
		seen[server] = true
		l := servers[id].Licence
		if l == nil {
			unknown++
			continue
		}
		days := none()
		if l.DaysLeft != nil {
			days = number(*l.DaysLeft)
		}
		for _, limit := range l.Limits {
			cells := []Cell{word(server), word(l.Kind), word(limit.Name), number(limit.Used), none(), none(), days}
			if !limit.Unlimited {
				cells[4], cells[5] = number(limit.Allowed), part(int64(limit.Used), int64(limit.Allowed))
				if limit.Used >= limit.Allowed {
					full++
				}
			}
			v.Rows = append(v.Rows, Row{Cells: cells})
		}
	}
	v.figure("Servers", Thousands(float64(len(seen))), "")
	v.figure("Limits that are reached", Thousands(float64(full)), "")
	if unknown > 0 {
		v.note("%s: ODCM's API key may not read the licence, or it was not asked yet.", plural(unknown, "server is missing", "servers are missing"))
	}
	v.note("As the servers say now, whatever the time that was chosen.")
	return v.finish("server", false)
}
