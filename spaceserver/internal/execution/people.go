package execution

import (
	"context"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/interruption"
	"odcm/spaceserver/internal/permission"
)

// Ask implements [run.People]: an interruption, and the task's mark that it has one, in one transaction.
func (x *execution) Ask(ctx context.Context, q run.Question) (id string, err error) {
	// What people are asked lies readable in the database, and is answered to them.
	title, text := x.task.Recorder.Masked(q.Title), x.task.Recorder.Masked(q.Instructions)
	form := interruption.Manual(text)
	if q.Guided {
		form = interruption.Guided(text, q.Options...)
	}
	i := interruption.Interruption{Task: x.task.ID, Title: title, Correlation: q.Node, Form: form, Teams: q.Teams, Project: x.project.Text("Id"), Environment: x.environment.Text("Id"), Tenant: x.tenant.Text("Id")}
	for _, related := range []string{x.document.Text("Id"), x.project.Text("Id"), x.source.Text("Id"), x.environment.Text("Id"), x.tenant.Text("Id"), q.Machine} {
		if related != "" {
			i.Related = append(i.Related, related)
		}
	}
	err = x.service.Transact(ctx, collection.Request{Principal: permission.System(), Space: x.space}, func(c *collection.Change) error {
		if err := x.task.Hold(c); err != nil {
			return err
		}
		id, err = interruption.Raise(c, x.options.Queue, i)
		return err
	})
	return id, err
}

// Answer implements [run.People].
func (x *execution) Answer(ctx context.Context, id string) (*run.Answer, error) {
	said, err := interruption.Read(ctx, x.service, id, x.space)
	if err != nil || said == nil {
		return nil, err
	}
	user, _, err := x.get(ctx, "Users", said.User)
	if err != nil {
		return nil, err
	}
	return &run.Answer{Choice: said.Choice, Notes: said.Notes, UserID: said.User, Username: user.Text("Username"),
		DisplayName: first(user.Text("DisplayName"), user.Text("Username"), "Somebody"), EmailAddress: user.Text("EmailAddress")}, nil
}
