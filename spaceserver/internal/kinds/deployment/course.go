package deployment

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/lifecycle"
	"odcm/spaceserver/internal/problem"
)

// course is a release with the way that it goes: its project, channel and the phases of the lifecycle in effect.
type course struct {
	part.Reader
	release, project, channel, lifecycle octopus.Object
	phases                               []lifecycle.Phase
	past                                 []ledger.Outcome // where the release went
	blocked                              bool
}

// courseOf reads the course of a release, and how far the release came on it.
func courseOf(r part.Reader, id string) (course, error) {
	k, err := aheadOf(r, id)
	if err != nil {
		return k, err
	}
	return k, k.recall()
}

// leaderOf is [courseOf] for what is deployed by itself; false where the course has nothing of the kind, as most leave that to
// people.
func leaderOf(r part.Reader, id string) (k course, leads bool, err error) {
	k, err = aheadOf(r, id)
	if err != nil || !slices.ContainsFunc(k.phases, func(p lifecycle.Phase) bool { return len(p.Automatic) > 0 }) {
		return k, false, err
	}
	return k, true, k.recall()
}

// recall reads the past.
func (k *course) recall() (err error) {
	id := k.release.Text("Id")
	if k.past, err = ledger.Outcomes(k.Context, k.Q, id); err != nil {
		return err
	}
	k.blocked, err = hasDefect(k.Reader, id)
	return err
}

// aheadOf reads the course of a release without its past.
func aheadOf(r part.Reader, id string) (k course, err error) {
	k.Reader = r
	var ok bool
	if k.release, ok, err = r.Get("Releases", id); err != nil || !ok {
		return k, part.OrInvalid(err, "There is no release '"+id+"'.")
	}
	if k.project, ok, err = r.Get("Projects", k.release.Text("ProjectId")); err != nil || !ok {
		return k, part.OrInvalid(err, "The release's project is gone.")
	}
	if k.channel, _, err = r.Get("Channels", k.release.Text("ChannelId")); err != nil {
		return k, err
	}
	k.lifecycle, k.phases, err = phasesOf(r, k.project, k.channel, func() ([]lifecycle.Environment, error) { return Environments(r) })
	return k, err
}

// Environments are all of the space's, in the order that people gave them.
func Environments(r part.Reader) ([]lifecycle.Environment, error) {
	list, err := r.List(document.Query{Kind: "Environments"})
	all := make([]lifecycle.Environment, 0, len(list))
	for _, o := range list {
		all = append(all, lifecycle.Environment{ID: o.Text("Id"), Name: o.Text("Name")})
	}
	return all, err
}

// PhasesOf reads the lifecycle of a channel, or of the project where the channel has none.
func PhasesOf(r part.Reader, project, channel octopus.Object, environments []lifecycle.Environment) (octopus.Object, []lifecycle.Phase, error) {
	return phasesOf(r, project, channel, func() ([]lifecycle.Environment, error) { return environments, nil })
}

// phasesOf reads the space's environments only where the lifecycle leaves open which are meant: there may be hundreds.
func phasesOf(r part.Reader, project, channel octopus.Object, environments func() ([]lifecycle.Environment, error)) (octopus.Object, []lifecycle.Phase, error) {
	if channel.Text("Type") == "EphemeralEnvironment" {
		// Its releases go to environments that come and go, in any order.
		all, err := environments()
		anywhere := lifecycle.Phase{Name: "Ephemeral environments"}
		for _, e := range all {
			anywhere.Optional = append(anywhere.Optional, e.ID)
		}
		return octopus.Object{}, []lifecycle.Phase{anywhere}, err
	}
	id := channel.Text("LifecycleId")
	if id == "" {
		id = project.Text("LifecycleId")
	}
	o, ok, err := r.Get("Lifecycles", id)
	if err != nil || !ok {
		return o, nil, part.OrInvalid(err, "There is no lifecycle '"+id+"'.")
	}
	phases := written(o)
	if lifecycle.Whole(phases) {
		return o, phases, nil
	}
	all, err := environments()
	return o, lifecycle.Complete(phases, all), err
}

// Phases are those of a lifecycle in effect.
func Phases(o octopus.Object, environments []lifecycle.Environment) []lifecycle.Phase {
	return lifecycle.Complete(written(o), environments)
}

// written are the phases as people wrote them.
func written(o octopus.Object) []lifecycle.Phase {
	var phases []lifecycle.Phase
	for _, p := range o.Objects("Phases") {
		phases = append(phases, lifecycle.Phase{ID: p.Text("Id"), Name: p.Text("Name"), Automatic: p.Texts("AutomaticDeploymentTargets"), Optional: p.Texts("OptionalDeploymentTargets"),
			Minimum: int(p.Int("MinimumEnvironmentsBeforePromotion")), Skippable: p.Bool("IsOptionalPhase")})
	}
	return phases
}

func hasDefect(r part.Reader, release string) (bool, error) {
	defects, err := r.List(document.Query{Kind: "Defects", Owner: release})
	return slices.ContainsFunc(defects, func(o octopus.Object) bool { return o.Text("Status") == "Unresolved" }), err
}

// history is what became of the release for a tenant, "" for none.
func (k course) history(tenant string) lifecycle.History {
	h := lifecycle.History{Succeeded: map[string]bool{}, Attempted: map[string]bool{}, Blocked: k.blocked}
	for _, o := range k.past {
		if o.Tenant == tenant {
			h.Attempted[o.Environment], h.Succeeded[o.Environment] = true, o.Succeeded
		}
	}
	return h
}

// measure tells how far the release came for a tenant, or for none where the tenant is empty.
func (k course) measure(tenant octopus.Object) (lifecycle.Progress, lifecycle.History) {
	h, phases := k.history(tenant.Text("Id")), k.phases
	if tenant.Len() > 0 {
		phases = lifecycle.Within(phases, tenant.Object("ProjectEnvironments").Texts(k.project.Text("Id")))
	}
	return lifecycle.Measure(phases, h), h
}

func (k course) title() string {
	return "release " + k.release.Text("Version") + " of " + k.project.Text("Name")
}

// admit refuses a deployment that the lifecycle does not allow (yet).
func (k course) admit(environment, tenant octopus.Object) error {
	progress, _ := k.measure(tenant)
	name := environment.Text("Name")
	switch progress.May(environment.Text("Id")) {
	case lifecycle.Foreign:
		return problem.Invalid("The environment '" + name + "' is not in the lifecycle '" + k.lifecycle.Text("Name") + "': " + k.title() + " cannot be deployed to it.")
	case lifecycle.Early:
		return problem.Invalid("The lifecycle '" + k.lifecycle.Text("Name") + "' does not allow " + k.title() + " in '" + name + "' yet: the phases before it are not complete.")
	case lifecycle.Blocked:
		return problem.Invalid("The " + k.title() + " is prevented from progressing to '" + name + "': resolve its defect first.")
	}
	return nil
}

// suits tells whether a tenant may have the release: not disabled, and with the tags that the channel asks for.
func (k course) suits(tenant octopus.Object) bool {
	return !tenant.Bool("IsDisabled") && part.Tagged(tenant.Texts("TenantTags"), k.channel.Texts("TenantTags"))
}
