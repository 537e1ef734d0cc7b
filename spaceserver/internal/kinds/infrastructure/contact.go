package infrastructure

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/health"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/script/sshclient"
)

// connection answers what the last health check said of a machine.
func connection(kind, route string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find(kind, c.Param("id"))
		if err != nil {
			return nil, err
		}
		last, err := health.LastConnection(c.Context, c.Service, d.ID)
		if err != nil {
			return nil, err
		}
		var checked any
		if !last.LastChecked.IsZero() {
			checked = last.LastChecked
		}
		return map[string]any{"Id": "connection-" + d.ID, "MachineId": d.ID, "Status": last.Status, "CurrentTentacleVersion": "", "LastChecked": checked,
			"Logs": part.Some(last.Logs), "Links": map[string]string{"Self": collection.Base(d.Space) + "/" + route + "/" + d.ID + "/connection"}}, nil
	}
}

// planHealth has a machine checked as its policy says.
func planHealth(h *host.Host) func(c *collection.Change) error {
	return func(c *collection.Change) error { return health.Plan(c, h.Queue, c.New.Text("MachinePolicyId"), false) }
}

// planAnew has the machines of a policy checked as it says now.
func planAnew(h *host.Host) func(c *collection.Change) error {
	return func(c *collection.Change) error {
		before, _ := c.Old.Get("MachineHealthCheckPolicy")
		now, _ := c.New.Get("MachineHealthCheckPolicy")
		if c.Creating || string(before) == string(now) {
			return nil
		}
		return health.Plan(c, h.Queue, c.ID, true)
	}
}

// forget takes along what is kept of a machine beside its document.
func forget(c *collection.Change) error { return health.Forget(c, c.ID) }

// dialTime bounds how long a client waits for a host that it asks about.
const dialTime = 15 * time.Second

// discover asks a host for what a target's endpoint needs to know: the fingerprint of its SSH key. The query has host, port
// and type (machine_service.go in go-octopusdeploy). Only who may register machines may have addresses called; whoever
// registers one has it called too.
func discover(create permission.Name, blank string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		if err := part.Needs(c, create); err != nil {
			return nil, err
		}
		get := func(name string) string {
			for key, values := range c.Query {
				if strings.EqualFold(key, name) && len(values) > 0 {
					return strings.TrimSpace(values[0])
				}
			}
			return ""
		}
		host := get("host")
		if host == "" {
			return nil, problem.Invalid("The hostname of the machine to discover must be supplied as URI parameter named 'host'.")
		}
		if typ := get("type"); !strings.EqualFold(typ, "Ssh") {
			return nil, problem.Unsupported("This Space server does not talk to Tentacles: ask for type=Ssh.")
		}
		port := 22
		if text := get("port"); text != "" {
			var err error
			if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
				return nil, problem.Invalid("'" + text + "' is no port: it is a number from 1 to 65535.")
			}
		}
		ctx, cancel := context.WithTimeoutCause(c.Context, dialTime, problem.New(http.StatusBadRequest, "The host did not answer within %s.", dialTime))
		defer cancel()
		found, err := sshclient.Discover(ctx, host, port)
		if err != nil {
			return nil, problem.Invalid("The host does not answer as an SSH server: " + err.Error() + ".").Because(err)
		}
		uri := url.URL{Scheme: "ssh", Host: host + ":" + strconv.Itoa(port), Path: "/"}
		o := c.Service.Kind(blank).Blank()
		o.Set("Name", host)
		o.Set("Uri", uri.String())
		o.Set("Endpoint", part.Object(map[string]any{"CommunicationStyle": "Ssh", "Host": host, "Port": port, "Uri": uri.String(), "Fingerprint": found.Fingerprint,
			"HostKeyAlgorithm": found.Algorithm, "AccountId": nil, "ProxyId": nil, "DotNetCorePlatform": nil}))
		return o, nil
	}
}

// latest bounds how far back the tasks of a machine are looked for.
const latest = 500

// machineTasks lists the tasks that had to do with a machine: those that named it, and the deployments and runbook runs that
// went to it, newest first. The query has type: names of tasks.
func machineTasks(kind, route string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find(kind, c.Param("id"))
		if err != nil {
			return nil, err
		}
		store := c.Service.Store
		candidates := func(of string) ([]octopus.Object, error) {
			rows, _, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: of, Spaces: []string{d.Space}, Contains: `"` + d.ID + `"`, Order: document.NewestFirst, Take: latest})
			var found []octopus.Object
			for _, row := range rows {
				o, err := octopus.ParseObject(row.Body)
				if err != nil {
					return nil, err
				}
				found = append(found, o)
			}
			return found, err
		}
		var ids []string
		for _, of := range []string{"Deployments", "RunbookRuns"} {
			found, err := candidates(of)
			if err != nil {
				return nil, err
			}
			for _, o := range found {
				if slices.Contains(o.Texts("DeployedToMachineIds"), d.ID) || slices.Contains(o.Texts("SpecificMachineIds"), d.ID) {
					ids = append(ids, o.Text("TaskId"))
				}
			}
		}
		named, err := candidates("ServerTasks")
		if err != nil {
			return nil, err
		}
		for _, o := range named {
			arguments := o.Object("Arguments")
			if slices.Contains(arguments.Texts("MachineIds"), d.ID) || slices.Contains(arguments.Texts("WorkerIds"), d.ID) {
				ids = append(ids, o.Text("Id"))
			}
		}
		path := route + "/" + d.ID + "/tasks"
		if len(ids) == 0 {
			return part.Page(c, "Task", path, []collection.Document{}), nil
		}
		r := c.Request
		r.Query = url.Values{"ids": {strings.Join(ids, ",")}}
		for _, name := range []string{"skip", "take"} {
			if value := c.Query.Get(name); value != "" {
				r.Query.Set(name, value)
			}
		}
		types := collection.Split(c.Query, "type")
		p, err := c.Service.List(c.Context, r, c.Service.Kind("ServerTasks"), collection.Listing{Filter: func(o octopus.Object) bool {
			return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, o.Text("Name")) })
		}})
		p.Path = collection.Base(d.Space) + "/" + path
		p.Template, p.Query = p.Path+"{?skip,take,type}", ""
		return p, err
	}
}
