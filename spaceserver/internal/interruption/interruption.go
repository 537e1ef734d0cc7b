// Package interruption asks people what to do while a task runs: a manual intervention of the process, or what to make of a
// failure (guided failure). The task waits in the database meanwhile; see package queue.
package interruption

import (
	"context"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// Interruption is a question to people.
type Interruption struct {
	Task        string // id
	Title       string
	Correlation string // id of the node of the task's log that it belongs to: activity.Log.ID
	Form        Form
	Teams       []string // ids of those who may answer; whoever may answer in the project if empty
	Related     []string // ids of deployment, project, environment, ...
	Project     string   // id; with Environment and Tenant it decides who sees it
	Environment string
	Tenant      string
}

// Form is what is filled in (Form in the Swagger document).
type Form struct {
	Values   map[string]*string
	Elements []Element
}

// Element is a field of a form (FormElement in the Swagger document; the controls are in OC/Model/Forms).
type Element struct {
	Name            string
	Control         map[string]any
	IsValueRequired bool
}

// Names of fields.
const (
	instructions = "Instructions"
	notes        = "Notes"
	// Result is the decision of a manual intervention: Proceed or Abort.
	Result = "Result"
	// Guidance is the decision about a failure: Fail, Retry, Ignore or Exclude.
	Guidance = "Guidance"
)

// Manual is the form of a manual intervention: instructions in Markdown, notes, and Proceed or Abort.
func Manual(text string) Form { return form(text, Result, []string{"Proceed", "Abort"}) }

// Guided is the form of a guided failure; the choices are some of Fail, Retry, Ignore and Exclude.
func Guided(text string, choices ...string) Form { return form(text, Guidance, choices) }

func form(text, decision string, choices []string) Form {
	buttons := make([]map[string]any, 0, len(choices))
	for _, c := range choices {
		label := c
		if c == "Exclude" {
			label = "Exclude machine from deployment"
		}
		buttons = append(buttons, map[string]any{"Text": label, "Value": c, "RequiresConfirmation": false})
	}
	return Form{
		Values: map[string]*string{instructions: nil, notes: nil, decision: nil},
		Elements: []Element{
			{Name: instructions, Control: map[string]any{"Type": "Paragraph", "Text": text, "ResolveLinks": true}},
			{Name: notes, Control: map[string]any{"Type": "TextArea", "Label": "Notes"}},
			{Name: decision, Control: map[string]any{"Type": "SubmitButtonGroup", "Buttons": buttons}, IsValueRequired: true},
		},
	}
}

// guided tells whether the form asks about a failure.
func (f Form) guided() bool {
	_, ok := f.Values[Guidance]
	return ok
}

// Tasks is what the queue does for interruptions.
type Tasks interface {
	Park(c *collection.Change, task string) error
	Wake(c *collection.Change, task string) error
}

// Raise makes an interruption in the space of the change, and has its task say that it waits. The work that raised it keeps
// the id ([queue.Task.Save]) and returns queue.ErrParked.
func Raise(c *collection.Change, tasks Tasks, i Interruption) (id string, err error) {
	kind, category := "ManualIntervention", "ManualInterventionInterruptionRaised"
	if i.Form.guided() {
		kind, category = "GuidedFailure", "GuidedFailureInterruptionRaised"
	}
	related := append([]string{i.Task}, i.Related...)
	o, err := octopus.NewObject(map[string]any{"Title": i.Title, "Type": kind, "Created": c.Service.Now(), "IsPending": true, "Form": i.Form, "TaskId": i.Task, "CorrelationId": i.Correlation,
		"RelatedDocumentIds": related, "ResponsibleTeamIds": some(i.Teams), "ProjectId": i.Project, "EnvironmentId": i.Environment, "TenantId": i.Tenant})
	if err != nil {
		return "", err
	}
	made, err := c.Create("Interruptions", o)
	if err != nil {
		return "", err
	}
	id = made.Text("Id")
	n := *c
	n.Kind = c.Service.Kind("Interruptions")
	n.Note(category, c.Space, "interruption "+i.Title+" was raised", i.Title, append([]string{id}, related...), collection.ChangeDetails{})
	return id, tasks.Park(c, i.Task)
}

func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Answer is what people said.
type Answer struct {
	Choice string            // of the decision: Proceed, Abort, Retry, ...
	Notes  string            //
	Values map[string]string // all that was filled in
	User   string            // id of who answered
}

// Read returns the answer to an interruption, nil while there is none.
func Read(ctx context.Context, s *collection.Service, id, space string) (*Answer, error) {
	row, err := s.Store.Get(ctx, s.Store.DB.Read(), "Interruptions", id, space)
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil || o.Bool("IsPending") {
		return nil, err
	}
	a := &Answer{Values: map[string]string{}, User: o.Text("ResponsibleUserId")}
	for name, value := range octopus.As[map[string]*string](o.Object("Form"), "Values") {
		if value == nil {
			continue
		}
		a.Values[name] = *value
		switch name {
		case Result, Guidance:
			a.Choice = *value
		case notes:
			a.Notes = *value
		}
	}
	return a, nil
}

// Submit answers an interruption and lets its task go on. The caller has asked whether the user may.
func Submit(c *collection.Change, tasks Tasks, id string, sent octopus.Object) error {
	var task, title string
	var related []string
	err := c.Edit("Interruptions", id, func(o *octopus.Object) error {
		if !o.Bool("IsPending") {
			return problem.Invalid("The interruption has been answered already.")
		}
		if o.Text("ResponsibleUserId") != c.Principal.ID {
			return problem.Invalid("Take responsibility for the interruption before you answer it.")
		}
		var f Form
		if err := o.Object("Form").Decode(&f); err != nil {
			return err
		}
		if err := f.fill(sent); err != nil {
			return err
		}
		task, title, related = o.Text("TaskId"), o.Text("Title"), o.Texts("RelatedDocumentIds")
		o.Set("Form", f)
		o.Set("IsPending", false)
		return nil
	})
	if err != nil {
		return err
	}
	n := *c
	n.Kind = c.Service.Kind("Interruptions")
	n.Note("InterruptionSubmitted", c.Space, "interruption "+title+" was submitted", title, append([]string{id}, related...), collection.ChangeDetails{})
	return tasks.Wake(c, task)
}

// fill takes the fields that the form has.
func (f *Form) fill(sent octopus.Object) error {
	for _, e := range f.Elements {
		raw, ok := sent.Get(e.Name)
		value := sent.Text(e.Name)
		if !ok || string(raw) == "null" || value == "" {
			if e.IsValueRequired {
				return problem.Invalid("The form needs a value for '" + e.Name + "'.")
			}
			continue
		}
		if choices := e.choices(); len(choices) > 0 && !choices[value] {
			return problem.Invalid("'" + value + "' is not one of the choices of '" + e.Name + "'.")
		}
		f.Values[e.Name] = &value
	}
	return nil
}

func (e Element) choices() map[string]bool {
	buttons, _ := e.Control["Buttons"].([]any)
	choices := map[string]bool{}
	for _, b := range buttons {
		if button, ok := b.(map[string]any); ok {
			if value, ok := button["Value"].(string); ok {
				choices[value] = true
			}
		}
	}
	return choices
}

// Withdraw takes back what a task has asked and nobody has answered: the task has ended.
func Withdraw(c *collection.Change, task string) error {
	rows, err := c.List(document.Query{Kind: "Interruptions", Spaces: []string{c.Space}, Owner: task})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if o, err := octopus.ParseObject(row.Body); err != nil || !o.Bool("IsPending") {
			continue
		}
		if err := c.Edit("Interruptions", row.ID, func(o *octopus.Object) error { o.Set("IsPending", false); return nil }); err != nil {
			return err
		}
	}
	return nil
}
