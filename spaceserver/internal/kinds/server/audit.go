package server

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Audit are the kinds about the audit trail: subscriptions to its events.
func Audit() []*collection.Kind {
	return []*collection.Kind{{
		Name: "Subscriptions", Type: "Subscription", Route: "subscriptions",
		Template: `{"Name":"","Type":"Event","IsDisabled":false,"EventNotificationSubscription":{"Filter":{"Users":[""],"Projects":[""],"ProjectGroups":[""],"Environments":[""],"EventGroups":[""],
			"EventCategories":[""],"EventAgents":[""],"Tenants":[""],"Tags":[""],"DocumentTypes":[""]},"EmailTeams":[""],"EmailFrequencyPeriod":"01:00:00","EmailPriority":"Normal","EmailDigestLastProcessed":null,
			"EmailDigestLastProcessedEventAutoId":null,"EmailShowDatesInTimeZoneId":"UTC","WebhookURI":null,"WebhookTeams":[""],"WebhookTimeout":"00:00:10","WebhookHeaderKey":null,"WebhookHeaderValue":null,
			"WebhookLastProcessed":null,"WebhookLastProcessedEventAutoId":null}}`,
		Required:   []string{"Name"},
		Permission: collection.Quartet("Subscription"),
		Query:      "skip,take,ids,partialName,spaces",
	}}
}

// events are the routes of the audit trail.
func events() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Scope: collection.InBoth, Permission: "EventView", Handle: handle}
	}
	names := func(list ...string) func(*collection.Call) (any, error) {
		return func(*collection.Call) (any, error) {
			all := []map[string]any{}
			for _, name := range list {
				all = append(all, map[string]any{"Id": name, "Name": name, "Links": map[string]string{}})
			}
			return all, nil
		}
	}
	return []collection.Action{
		on("events", listEvents),
		on("events/{id}", getEvent),
		on("events/agents", names("Server", "Other")),
		on("events/categories", names("Created", "Modified", "Deleted", "MaintenanceModeEntered", "MaintenanceModeExited")),
		on("events/groups", func(*collection.Call) (any, error) {
			return []map[string]any{{"Id": "document", "Name": "Document", "EventCategories": []string{"Created", "Modified", "Deleted"}, "Links": map[string]string{}}}, nil
		}),
		on("events/archives", func(c *collection.Call) (any, error) {
			return part.Page(c, "EventArchive", "events/archives", []part.Reference{}), nil
		}),
		on("events/documenttypes", func(c *collection.Call) (any, error) {
			all := []part.Reference{}
			for _, k := range c.Service.Kinds() {
				if !k.Silent {
					all = append(all, part.Refer(k.Name, k.Type))
				}
			}
			return all, nil
		}),
	}
}

// eventQuery reads the query; ids of what an event is about may come under many names.
func eventQuery(c *collection.Call) (document.EventQuery, error) {
	q := document.EventQuery{Users: collection.Split(c.Query, "users"), Categories: collection.Split(c.Query, "eventCategories"),
		FromID: int64(collection.Number(c.Query, "fromAutoId", 0)), ToID: int64(collection.Number(c.Query, "toAutoId", 0)),
		Skip: collection.Number(c.Query, "skip", 0), Take: collection.Number(c.Query, "take", collection.DefaultTake)}
	q.Users = append(q.Users, collection.Split(c.Query, "user")...)
	for _, name := range []string{"regarding", "regardingAny", "projects", "projectGroups", "environments", "tenants"} {
		if ids := collection.Split(c.Query, name); len(ids) > 0 {
			q.Any = append(q.Any, ids)
		}
	}
	for _, typ := range collection.Split(c.Query, "documentTypes") {
		if k := c.Service.Kind(typ); k != nil { // ids of document types are names of kinds here, and types themselves
			typ = k.Type
		}
		q.Types = append(q.Types, typ)
	}
	for _, group := range collection.Split(c.Query, "eventGroups") {
		if strings.EqualFold(group, "document") {
			q.Categories = append(q.Categories, "Created", "Modified", "Deleted")
		}
	}
	for _, id := range collection.Split(c.Query, "ids") {
		n, _ := strconv.ParseInt(strings.TrimPrefix(id, "Events-"), 10, 64)
		q.AutoIDs = append(q.AutoIDs, n)
	}
	for name, at := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		text := c.Query.Get(name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+"))
		if err != nil {
			if t, err = time.Parse("2006-01-02", text); err != nil {
				return q, problem.Invalid("The time '" + text + "' is not readable: use 2026-01-31T12:00:00Z.")
			}
		}
		*at = t
	}
	return q, eventSpaces(c, &q)
}

// eventSpaces keeps to the spaces that the caller may see events of.
func eventSpaces(c *collection.Call, q *document.EventQuery) error {
	wanted := collection.Split(c.Query, "spaces")
	if c.Named {
		wanted = []string{c.Space}
	}
	system := !strings.EqualFold(c.Query.Get("includeSystem"), "false") && !c.Named
	q.Spaces = []string{}
	for _, space := range c.Service.Directory().Spaces {
		if (len(wanted) == 0 || slices.Contains(wanted, "all") || slices.Contains(wanted, space.ID)) && c.Principal.Set.Holds("EventView", space.ID) {
			q.Spaces = append(q.Spaces, space.ID)
		}
	}
	if system && c.Principal.Set.Holds("EventView", "") {
		q.Spaces = append(q.Spaces, "")
		if c.Principal.Set.Administers() && len(wanted) == 0 {
			q.Spaces = nil // events of spaces that are gone too
		}
	}
	return nil
}

func shownEvent(e document.Event) octopus.Object {
	id := "Events-" + strconv.FormatInt(e.AutoID, 10)
	o := part.Object(nil)
	o.Set("Id", id)
	o.Set("RelatedDocumentIds", e.Related)
	o.Set("Category", e.Category)
	body, _ := octopus.ParseObject(e.Body) // it was written by us
	for name, value := range body.All() {
		o.Set(name, value)
	}
	o.Set("MessageHtml", html(body.Text("Message")))
	o.Set("Details", "")
	o.Set("Occurred", e.Occurred.Format("2006-01-02T15:04:05.000+00:00"))
	o.Set("SpaceId", part.OrNull(e.Space))
	o.Set("Links", map[string]string{"Self": "/api/events/" + id})
	return o
}

func html(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
}

// mayRead asks restricted grants about an event: every project, environment or tenant that it is about must be open.
func mayRead(c *collection.Call, e document.Event) bool {
	t := targetOf(e)
	return c.Principal.Set.Unrestricted("EventView", e.Space) || c.Principal.Set.Sees("EventView", t)
}

func listEvents(c *collection.Call) (any, error) {
	q, err := eventQuery(c)
	if err != nil {
		return nil, err
	}
	if q.Take == 0 {
		q.Take = collection.DefaultTake
	}
	// From a cursor on, oldest first: a reader that takes a page and goes on behind its last event misses none.
	q.OldestFirst = false
	rows, total, err := c.Service.Store.Events(c.Context, c.Service.Store.DB.Read(), q)
	if err != nil {
		return nil, err
	}
	p := collection.Page[octopus.Object]{ItemType: "Event", Total: total, Skip: q.Skip, Take: q.Take, Path: "/api/events", Template: "/api/events{?" + eventParameters + "}"}
	for _, e := range rows {
		if !mayRead(c, e) {
			p.Total--
			continue
		}
		o := shownEvent(e)
		if strings.EqualFold(c.Query.Get("excludeDifference"), "true") {
			o.Set("ChangeDetails", nil)
		}
		p.Items = append(p.Items, o)
	}
	if strings.EqualFold(c.Query.Get("asCsv"), "true") {
		return asCSV(p.Items)
	}
	return p, nil
}

const eventParameters = "skip,regarding,regardingAny,user,users,projects,projectGroups,environments,eventGroups,eventCategories,eventAgents,tags,tenants,from,to,internal,fromAutoId,toAutoId,documentTypes,asCsv,take,ids,spaces,includeSystem,excludeDifference"

func getEvent(c *collection.Call) (any, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(c.Param("id"), "Events-"), 10, 64)
	if err != nil {
		return nil, problem.NotFound("Event", c.Param("id"))
	}
	q := document.EventQuery{AutoIDs: []int64{n}}
	if err := eventSpaces(c, &q); err != nil {
		return nil, err
	}
	rows, _, err := c.Service.Store.Events(c.Context, c.Service.Store.DB.Read(), q)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || !mayRead(c, rows[0]) {
		return nil, problem.NotFound("Event", c.Param("id"))
	}
	return shownEvent(rows[0]), nil
}

// asCSV writes events as a table. Cells that a spreadsheet would take for a formula are disarmed.
func asCSV(events []octopus.Object) (any, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"Id", "Occurred", "Category", "Username", "Message"}}
	for _, e := range events {
		row := []string{e.Text("Id"), e.Text("Occurred"), e.Text("Category"), e.Text("Username"), e.Text("Message")}
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return collection.Content{Type: "text/csv; charset=utf-8", Name: "events.csv", Body: &b}, nil
}

// targetOf is what an event is about, from the ids that it names.
func targetOf(e document.Event) permission.Target {
	t := permission.Target{Space: e.Space}
	for _, id := range e.Related {
		switch kind, _, _ := strings.Cut(id, "-"); kind {
		case "Projects":
			t.Project = id
		case "ProjectGroups":
			t.ProjectGroup = id
		case "Environments":
			t.Environments = append(t.Environments, id)
		case "Tenants":
			t.Tenants = append(t.Tenants, id)
		}
	}
	return t
}
