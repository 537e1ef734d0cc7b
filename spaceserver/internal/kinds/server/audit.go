package server

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/audit"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/subscription"
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
		Prepare:    subscription.Prepare, Settle: subscription.Settle, Remove: subscription.Remove, Present: subscription.Present,
	}}
}

// events are the routes of the audit trail.
func events() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Scope: collection.InBoth, Permission: "EventView", Handle: handle}
	}
	named := func(list []audit.Category) func(*collection.Call) (any, error) {
		return func(*collection.Call) (any, error) {
			all := []map[string]any{}
			for _, one := range list {
				all = append(all, map[string]any{"Id": one.ID, "Name": one.Name, "Links": map[string]string{}})
			}
			return all, nil
		}
	}
	return []collection.Action{
		// Without a space: those of all spaces whose events one may see.
		{Method: "GET", Path: "events", Scope: collection.InBoth, Handle: listEvents},
		{Method: "GET", Path: "events/{id}", Scope: collection.InBoth, Handle: getEvent},
		on("events/agents", named(audit.Agents())),
		on("events/categories", named(audit.Categories())),
		on("events/groups", func(*collection.Call) (any, error) {
			all := []map[string]any{}
			for _, g := range audit.Groups() {
				all = append(all, map[string]any{"Id": g.ID, "Name": g.Name, "EventCategories": g.Categories, "Links": map[string]string{}})
			}
			return all, nil
		}),
		{Method: "GET", Path: "events/archives", Scope: collection.InBoth, Permission: "EventRetentionView", Handle: func(c *collection.Call) (any, error) {
			return part.Page(c, "EventArchive", "events/archives", []part.Reference{}), nil
		}},
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
	if groups := collection.Split(c.Query, "eventGroups"); len(groups) > 0 {
		// A group that is unknown stands for nothing, and not for everything.
		q.Categories = append(append(q.Categories, audit.In(groups)...), "")
	}
	for _, id := range collection.Split(c.Query, "ids") {
		n, _ := audit.Number(id)
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
			return nil
		}
	}
	if len(q.Spaces) == 0 {
		return problem.Denied("EventView")
	}
	return nil
}

func listEvents(c *collection.Call) (any, error) {
	q, err := eventQuery(c)
	if err != nil {
		return nil, err
	}
	if q.Take == 0 {
		q.Take = collection.DefaultTake
	}
	rows, total, err := seenEvents(c, q)
	if err != nil {
		return nil, err
	}
	p := collection.Page[octopus.Object]{ItemType: "Event", Total: total, Skip: q.Skip, Take: q.Take, Path: "/api/events", Template: "/api/events{?" + eventParameters + "}"}
	for _, e := range rows {
		o := told(c, e)
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

// seenEvents reads the page that the query asks for, of the events that the caller may see, and counts them.
func seenEvents(c *collection.Call, q document.EventQuery) (page []document.Event, total int, err error) {
	set, store := c.Principal.Set, c.Service.Store
	if !slices.ContainsFunc(q.Spaces, func(space string) bool { return !set.Unrestricted("EventView", space) }) {
		return store.Events(c.Context, store.DB.Read(), q)
	}
	for e, err := range store.EachEvent(c.Context, store.DB.Read(), q) {
		if err != nil {
			return nil, 0, err
		}
		if !audit.Visible(set, e) {
			continue
		}
		if total >= q.Skip && len(page) < q.Take {
			page = append(page, e)
		}
		total++
	}
	return page, total, nil
}

// told is an event as it is answered. What exactly changed is for those who may see the document itself; of variables, for
// those who may see all of them.
func told(c *collection.Call, e document.Event) octopus.Object {
	o, set, t := audit.Show(e), c.Principal.Set, audit.Target(e)
	k := c.Service.OfType(e.Type)
	if k == nil {
		return o
	}
	shown := set.Sees(k.Permission.View, t)
	if k.Name == "VariableSets" {
		t.Tenants = []string{""} // none is called so: no restricted grant holds it
		shown = set.Whole(k.Permission.View, t)
	}
	if !shown {
		o.Set("ChangeDetails", nil)
	}
	return o
}

const eventParameters = "skip,regarding,regardingAny,user,users,projects,projectGroups,environments,eventGroups,eventCategories,eventAgents,tags,tenants,from,to,internal,fromAutoId,toAutoId,documentTypes,asCsv,take,ids,spaces,includeSystem,excludeDifference"

func getEvent(c *collection.Call) (any, error) {
	n, ok := audit.Number(c.Param("id"))
	if !ok {
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
	if len(rows) == 0 || !audit.Visible(c.Principal.Set, rows[0]) {
		return nil, problem.NotFound("Event", c.Param("id"))
	}
	return told(c, rows[0]), nil
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
