package execution

import (
	"context"
	"sync"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/reach"
	"odcm/spaceserver/internal/script"
)

// places are the connections of one execution: one for each machine.
type places struct {
	mu   sync.Mutex
	open map[string]script.Place
}

func (p *places) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, place := range p.open {
		_ = place.Close() // nothing is lost with it: scripts have ended
	}
}

// at opens the place of a piece. A cloud region has no machine: what is for it runs on the server (docs: infrastructure/
// deployment-targets/cloud-regions).
func (x *execution) at(ctx context.Context, p *run.Piece) (script.Place, error) {
	machine := p.Machine
	kind := "Machines"
	switch {
	case p.Job.On == plan.Worker:
		kind = "Workers"
		machine = pick(p)
		p.Log.Write(activity.Verbose, "Runs on the worker "+machine.Name)
	case p.Job.On == plan.Server, machine.Style() == "None":
		return x.options.Local, nil
	}
	x.places.mu.Lock()
	defer x.places.mu.Unlock()
	if place := x.places.open[machine.ID]; place != nil {
		return place, nil
	}
	var o octopus.Object
	o.Set("Name", machine.Name)
	o.Set("Endpoint", machine.Endpoint)
	place, err := x.reach.Open(ctx, x.task, reach.Machine{Kind: kind, ID: machine.ID, Space: x.space, Name: machine.Name, Object: o})
	if err != nil {
		return nil, err
	}
	if x.places.open == nil {
		x.places.open = map[string]script.Place{}
	}
	x.places.open[machine.ID] = place
	return place, nil
}

// pick chooses among the workers of a pool: the same one for a target throughout a step, others for others.
func pick(p *run.Piece) *plan.Machine {
	sum := p.Work.Number
	if p.Machine != nil {
		for _, c := range p.Machine.ID {
			sum = sum*31 + int(c)
		}
	}
	return &p.Job.Worker[(sum&0x7fffffff)%len(p.Job.Worker)]
}
