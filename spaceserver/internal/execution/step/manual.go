package step

import (
	"fmt"
	"strings"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
)

// What people can say to a manual intervention.
const (
	Proceed = "Proceed"
	Abort   = "Abort"
)

// ask is a manual intervention (docs: projects/built-in-step-templates/manual-intervention-and-approvals). The first time it
// asks; the second time there is an answer.
func (w *Worker) ask(p *run.Piece) error {
	if p.Answer == nil {
		instructions, err := text(p, "Octopus.Action.Manual.Instructions")
		if err != nil {
			return fmt.Errorf("the instructions cannot be evaluated: %w", err)
		}
		teams, err := text(p, "Octopus.Action.Manual.ResponsibleTeamIds")
		if err != nil {
			return fmt.Errorf("the responsible teams cannot be evaluated: %w", err)
		}
		return &run.Question{Title: p.Job.Action.Name, Instructions: instructions, Options: []string{Proceed, Abort}, Teams: split(teams),
			Blocks: flag(p, "Octopus.Action.Manual.BlockConcurrentDeployments", false)}
	}
	a := p.Answer
	p.Output("Manual.Notes", a.Notes, false)
	p.Output("Manual.Approved", map[bool]string{true: "True", false: "False"}[a.Choice == Proceed], false)
	p.Output("Manual.ResponsibleUser.Id", a.UserID, false)
	p.Output("Manual.ResponsibleUser.Username", a.Username, false)
	p.Output("Manual.ResponsibleUser.DisplayName", a.DisplayName, false)
	p.Output("Manual.ResponsibleUser.EmailAddress", a.EmailAddress, false)
	notes := ""
	if a.Notes != "" {
		notes = " Notes: " + a.Notes
	}
	if a.Choice != Proceed {
		return plan.Refusal(fmt.Sprintf("%s aborted.%s", a.DisplayName, notes))
	}
	p.Log.Write(activity.Info, fmt.Sprintf("%s said to proceed.%s", a.DisplayName, notes))
	return nil
}

func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
