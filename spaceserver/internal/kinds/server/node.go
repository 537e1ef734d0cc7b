package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
)

// Maintenance is the setting that is "true" while the server is in maintenance mode.
const Maintenance = "maintenance"

// nodes are the routes of the nodes that share the database, of what they say of themselves, and of maintenance mode.
func (s *rules) nodes() []collection.Action {
	on := func(method, path string, permission permission.Name, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Permission: permission, Handle: handle}
	}
	open := func(path string) collection.Action {
		return collection.Action{Method: "GET", Path: path, Scope: collection.InSystem, Anonymous: true, Handle: s.ping}
	}
	return []collection.Action{
		open("octopusservernodes/ping"), open("serverstatus/hosted/internal"),
		on("GET", "octopusservernodes", "", s.listNodes),
		on("GET", "octopusservernodes/all", "", func(c *collection.Call) (any, error) { return s.nodeObjects(c, nodeObject) }),
		on("GET", "octopusservernodes/summary", "", s.nodeSummary),
		on("GET", "octopusservernodes/{id}", "", func(c *collection.Call) (any, error) {
			n, err := s.node(c)
			return nodeObject(n), err
		}),
		on("PUT", "octopusservernodes/{id}", permission.AdministerSystem, s.putNode),
		on("DELETE", "octopusservernodes/{id}", permission.AdministerSystem, s.deleteNode),
		on("GET", "octopusservernodes/{id}/details", "", func(c *collection.Call) (any, error) {
			n, err := s.node(c)
			return map[string]any{"Id": queue.NodeID(n.Name), "RunningTasks": n.Running, "Links": map[string]string{"Self": nodePath(n) + "/details"}}, err
		}),
		on("GET", "serverstatus/health", "", s.health),
		on("GET", "maintenanceconfiguration", "", getMaintenance),
		on("PUT", "maintenanceconfiguration", permission.AdministerSystem, s.putMaintenance),
	}
}

func nodePath(n queue.Node) string { return "/api/octopusservernodes/" + queue.NodeID(n.Name) }

// node finds the node of the route, by its id or its name.
func (s *rules) node(c *collection.Call) (queue.Node, error) {
	id := c.Param("id")
	nodes, err := s.Queue.Nodes(c.Context)
	if err != nil {
		return queue.Node{}, err
	}
	i := slices.IndexFunc(nodes, func(n queue.Node) bool {
		return strings.EqualFold(id, queue.NodeID(n.Name)) || strings.EqualFold(id, n.Name)
	})
	if i < 0 {
		return queue.Node{}, problem.NotFound("OctopusServerNode", id)
	}
	return nodes[i], nil
}

func nodeObject(n queue.Node) octopus.Object {
	o := part.Object(nil)
	o.Set("Id", queue.NodeID(n.Name))
	o.Set("Name", n.Name)
	o.Set("MaxConcurrentTasks", n.Cap)
	o.Set("IsInMaintenanceMode", n.Draining)
	o.Set("Links", map[string]string{"Self": nodePath(n), "Node": nodePath(n), "Details": nodePath(n) + "/details"})
	return o
}

func (s *rules) nodeObjects(c *collection.Call, object func(queue.Node) octopus.Object) ([]octopus.Object, error) {
	nodes, err := s.Queue.Nodes(c.Context)
	all := []octopus.Object{}
	for _, n := range nodes {
		all = append(all, object(n))
	}
	return all, err
}

func (s *rules) listNodes(c *collection.Call) (any, error) {
	all, err := s.nodeObjects(c, nodeObject)
	return part.Page(c, "OctopusServerNode", "octopusservernodes", all), err
}

// nodeSummary is what people look at: who is there, who leads, how much each does (OctopusServerClusterSummary in the root
// document's links).
func (s *rules) nodeSummary(c *collection.Call) (any, error) {
	all, err := s.nodeObjects(c, func(n queue.Node) octopus.Object {
		o := nodeObject(n)
		rank := "Follower"
		switch {
		case n.Offline:
			rank = "Offline"
		case n.Leader:
			rank = "Leader"
		}
		o.Set("LastSeen", n.Seen)
		o.Set("Rank", rank)
		o.Set("IsLeader", n.Leader)
		o.Set("IsOffline", n.Offline)
		o.Set("RunningTaskCount", n.Running)
		return o
	})
	return map[string]any{"Nodes": all, "Links": map[string]string{"Self": "/api/octopusservernodes/summary"}}, err
}

// putNode sets how many tasks a node runs at a time, and drains it: Octopus calls that IsInMaintenanceMode.
func (s *rules) putNode(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	n, err := s.node(c)
	if err != nil {
		return nil, err
	}
	limit := n.Cap
	if body.Has("MaxConcurrentTasks") {
		limit = int(body.Int("MaxConcurrentTasks"))
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		change.Note("Modified", "", "node "+n.Name+" was changed", n.Name, []string{queue.NodeID(n.Name)}, collection.ChangeDetails{})
		return s.Queue.SetNode(change, n.Name, limit, body.Bool("IsInMaintenanceMode"))
	})
	if err != nil {
		return nil, err
	}
	n, err = s.node(c)
	return nodeObject(n), err
}

func (s *rules) deleteNode(c *collection.Call) (any, error) {
	n, err := s.node(c)
	if err != nil {
		return nil, err
	}
	if !n.Offline {
		return nil, problem.Invalid("The node '" + n.Name + "' is running: stop it before you remove it.")
	}
	return nil, c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		change.Note("Deleted", "", "node "+n.Name+" was removed", n.Name, []string{queue.NodeID(n.Name)}, collection.ChangeDetails{})
		return s.Queue.RemoveNode(change, n.Name)
	})
}

// ping tells load balancers whether to send work to this node: 418 when draining, as an Octopus server does.
func (s *rules) ping(c *collection.Call) (any, error) {
	drained, err := s.Queue.Draining(c.Context)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if drained {
		status = http.StatusTeapot
	}
	return collection.Answer{Status: status, Value: map[string]any{"Id": s.NodeID(), "Name": s.Node, "IsInMaintenanceMode": drained}}, nil
}

// drained tells whether no node that is there takes tasks.
func (s *rules) drained(ctx context.Context) (bool, error) {
	nodes, err := s.Queue.Nodes(ctx)
	return !slices.ContainsFunc(nodes, func(n queue.Node) bool { return !n.Offline && !n.Draining }), err
}

func (s *rules) health(c *collection.Call) (any, error) {
	drained, err := s.drained(c.Context)
	text := "Octopus is operating normally"
	if drained {
		text = "All nodes are draining: no new tasks are started"
	}
	return map[string]any{"Id": "serverstatus-health", "Description": text, "IsOperatingNormally": !drained, "IsEntireClusterReadOnly": c.Service.ReadOnly(), "IsEntireClusterDrainingTasks": drained,
		"IsCompliantWithLicense": true, "Links": map[string]string{"Self": "/api/serverstatus/health"}}, err
}

func getMaintenance(c *collection.Call) (any, error) {
	return map[string]any{"Id": Maintenance, "IsInMaintenanceMode": c.Service.ReadOnly(), "Links": map[string]string{"Self": "/api/maintenanceconfiguration"}}, nil
}

// putMaintenance turns maintenance mode on or off. The task queue goes on meanwhile (docs, administration,
// maintenance-mode).
func (s *rules) putMaintenance(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	on := body.Bool("IsInMaintenanceMode")
	err = c.Transact(func(change *collection.Change) error {
		if on != c.Service.ReadOnly() {
			category, text := "MaintenanceModeExited", "maintenance mode was turned off"
			if on {
				category, text = "MaintenanceModeEntered", "maintenance mode was turned on"
			}
			change.Note(category, "", text, "", []string{Maintenance}, collection.ChangeDetails{})
		}
		return c.Service.Store.Set(c.Context, change.Tx, Maintenance, strconv.FormatBool(on))
	})
	if err != nil {
		return nil, err
	}
	c.Service.SetReadOnly(on)
	return getMaintenance(c)
}
