package spacehttp_test

import (
	"fmt"
	"testing"
	"time"

	"odcm"
	"odcm/manager/space"
	"odcm/manager/space/spacetest"
)

var (
	businesses = []string{"Payments", "Shipping", "Ledger", "Claims", "Pricing", "Identity", "Search", "Returns", "Warehouse", "Loyalty"}
	regions    = []string{"EU", "US", "APAC", "Nordics", "Canada"}
)

// estate fills the site with n Spaces, four to an instance, two instances to a machine; of two hundred about three are in trouble.
func (s site) estate(t testing.TB, n int) []odcm.SpaceID {
	t.Helper()
	c := space.Change{}
	now := time.Now()
	var ids []odcm.SpaceID
	for i := range n {
		on := odcm.InstanceID(fmt.Sprintf("instance-%05d", i/4))
		if i%4 == 0 {
			c.Instances = append(c.Instances, space.Instance{ID: on, Origin: space.Enlisted, Version: "2025.4.1", InstallationID: string(on), Created: now,
				URL: fmt.Sprintf("https://octopus-%03d.example.com:%d", i/8, 8443+i/4%2)})
		}
		name := businesses[i%len(businesses)] + " " + regions[i/len(businesses)%len(regions)]
		if i >= len(businesses)*len(regions) {
			name += fmt.Sprintf(" %d", i/(len(businesses)*len(regions))+1)
		}
		id := odcm.SpaceID(fmt.Sprintf("space-%08d-0000-7000-8000-%012d", i, i))
		ids = append(ids, id)
		c.Spaces = append(c.Spaces, space.Space{ID: id, Instance: on, Octopus: fmt.Sprintf("Spaces-%d", i%4+1), Slug: space.Slug(name), Name: name,
			State: space.StateActive, Created: now})
		s.Monitor.Tell(id, healthOf(i, now))
	}
	if err := s.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.Bus.Publish("*") // the Store was written without the room
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if v, err := s.Spaces.Survey(t.Context(), spacetest.Barry, space.Sight{}); err == nil && v.Total == n {
			return ids
		}
		if time.Now().After(until) {
			t.Fatal("the board does not show what was written")
		}
	}
}

func healthOf(i int, now time.Time) space.Health {
	h := space.Health{Status: space.Online, Since: now.Add(-time.Duration(i%700+30) * time.Hour), Checked: now, Version: []string{"2025.4.1", "2026.1.7", "2026.2.1203"}[i%3],
		Nodes: []space.Node{{Name: "node-1", Leader: true, TaskCap: 5, LastSeen: now}}}
	ago := func(d time.Duration) { h.Since = now.Add(-d) }
	switch i % 200 {
	case 3:
		h.Status, h.Reason = space.Offline, "Nothing listens at its address."
		ago(7 * time.Minute)
	case 77:
		h.Status, h.Reason = space.Degraded, "1 of 2 nodes do not run: node-2."
		ago(3 * time.Hour)
	case 121:
		h.Status, h.Reason = space.Degraded, "The server answers slowly: pings take longer than 1s."
		ago(40 * time.Second)
	case 150:
		h.Status, h.Reason = space.Maintenance, "The server is in maintenance mode."
		ago(26 * time.Minute)
	case 190:
		h.Status, h.Reason = space.Draining, "The node finishes its tasks and takes no new ones."
		ago(2 * time.Minute)
	}
	return h
}
