package infrastructure

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
)

// tally counts machines by their state.
type tally struct {
	total, disabled int
	health, styles  map[string]int
}

func newTally() *tally { return &tally{health: map[string]int{}, styles: map[string]int{}} }

func (t *tally) add(machine octopus.Object) {
	t.total++
	if machine.Bool("IsDisabled") {
		t.disabled++
	}
	t.health[machine.Text("HealthStatus")]++
	t.styles[machine.Object("Endpoint").Text("CommunicationStyle")]++
}

// show writes what the summaries of environments and of worker pools have in common.
func (t *tally) show() map[string]any {
	return map[string]any{"TotalMachines": t.total, "TotalDisabledMachines": t.disabled, "MachineHealthStatusSummaries": t.health, "MachineEndpointSummaries": t.styles,
		"MachineIdsForCalamariUpgrade": []string{}, "MachineIdsForTentacleUpgrade": []string{}, "TentacleUpgradesRequired": false}
}

// tallies counts machines of a kind, all of them and by each of the ids that a member of theirs holds.
func tallies(c *collection.Call, kind, member string) (all *tally, each map[string]*tally, err error) {
	machines, err := part.Seen(c, kind)
	all, each = newTally(), map[string]*tally{}
	for _, m := range machines {
		o := m.Object()
		all.add(o)
		for _, id := range o.Texts(member) {
			if each[id] == nil {
				each[id] = newTally()
			}
			each[id].add(o)
		}
	}
	return all, each, err
}

func environmentSummary(c *collection.Call) (any, error) {
	return summarise(c, "Environments", "Machines", "EnvironmentIds", "Environment", func(one map[string]any) {
		one["MachineTenantSummaries"], one["MachineTenantTagSummaries"] = map[string]int{}, map[string]int{}
	})
}

func poolSummary(c *collection.Call) (any, error) {
	return summarise(c, "WorkerPools", "Workers", "WorkerPoolIds", "WorkerPool", func(map[string]any) {})
}

// summarise makes EnvironmentsSummaryResource and WorkerPoolsSummaryResource: the counts of all machines, and of each of
// the groups that they are in.
func summarise(c *collection.Call, kind, machines, member, noun string, more func(map[string]any)) (any, error) {
	groups, err := c.Service.List(c.Context, c.Request, c.Service.Kind(kind), collection.Listing{All: true})
	if err != nil {
		return nil, err
	}
	all, each, err := tallies(c, machines, member)
	if err != nil {
		return nil, err
	}
	summaries := []any{}
	for _, g := range groups.Items {
		t := each[g.ID]
		if t == nil {
			t = newTally()
		}
		one := t.show()
		more(one)
		one[noun] = g
		summaries = append(summaries, one)
	}
	answer := all.show()
	more(answer)
	if kind == "Environments" {
		delete(answer, "MachineIdsForTentacleUpgrade") // only single environments have it
	}
	answer[noun+"Summaries"] = summaries
	return answer, nil
}
