package transfer

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/transfer/bundle"
)

// Names of the tasks.
const (
	ExportTask = "ExportProjects"
	ImportTask = "ImportProjects"
)

// Transfers exports and imports projects.
type Transfers struct {
	host      *host.Host
	service   *collection.Service
	version   string
	uploads   host.Folder // <space>/<id of the upload>
	artifacts host.Folder // <space>/<id of the artifact>
	keys      bundle.Keys
}

// New keeps uploads and artifacts below the server's folder of data.
func New(h *host.Host, service *collection.Service) *Transfers {
	return &Transfers{host: h, service: service, version: h.Version, uploads: host.Folder{Dir: filepath.Join(h.Data, "imports")}, artifacts: host.Folder{Dir: filepath.Join(h.Data, "artifacts")}}
}

// Kinds are what a transfer keeps while it waits: the password, sealed, until its task has ended, and uploaded files.
func Kinds() []*collection.Kind {
	verbs := collection.Verbs{View: "ProjectView", Create: "ProjectCreate", Edit: "ProjectEdit", Delete: "ProjectEdit"}
	return []*collection.Kind{
		{
			Name: "ProjectTransfers", Type: "ProjectTransfer", Title: "-", RootLink: "-", Silent: true, Permission: verbs, Owner: "TaskId",
			Template: `{"TaskId":"","Password":{"HasValue":false,"NewValue":null,"Hint":null},"ProjectIds":[""],"Documents":[""],"File":""}`,
		},
		{
			Name: "ProjectImportFiles", Type: "ProjectImportFile", Title: "-", RootLink: "-", Silent: true, Permission: verbs, Order: document.NewestFirst,
			Template: `{"FileName":"","Created":null}`,
		},
	}
}

// Export is the work of the task that was queued by POST projects/import-export/export. The file becomes an artifact of it.
func (t *Transfers) Export(ctx context.Context, task *queue.Task) error {
	request, password, err := t.request(ctx, task)
	if err != nil {
		return err
	}
	defer t.forget(ctx, task)
	b, err := t.gather(ctx, task.Space, request.Texts("ProjectIds"), func(sentence string) { task.Log.Write(activity.Warning, sentence) })
	if err != nil {
		return err
	}
	if allowed := request.Texts("Documents"); slices.ContainsFunc(b.Items, func(i *bundle.Item) bool { return !slices.Contains(allowed, i.Place("")) }) {
		return problem.Invalid("The projects were changed after the export was asked for, and hang together with more now: export them again.")
	}
	for _, i := range b.Items {
		if name := i.Name(); name != "" {
			task.Log.Write(activity.Verbose, "The "+t.service.Kind(i.Kind).Noun()+" '"+name+"' is exported.")
		}
	}
	r, err := t.artifacts.Receive(func(w io.Writer) error { return b.Write(w, password, &t.keys) })
	if err != nil {
		return err
	}
	defer r.Discard()
	if r.Size > bundle.LargestFile {
		return problem.Invalid("The export is larger than this server would import again: export fewer projects.")
	}
	name := "Octopus-ProjectExport-" + b.Exported.Format("20060102150405") + ".zip"
	return t.attach(ctx, task, r, name)
}

// attach makes the file an artifact of the task. The file is in its place before its row is committed.
func (t *Transfers) attach(ctx context.Context, task *queue.Task, r host.Received, name string) error {
	var artifact octopus.Object
	who, err := t.principal(ctx, task.By)
	if err != nil {
		return err
	}
	err = t.service.Transact(ctx, collection.Request{Principal: who, Space: task.Space}, func(c *collection.Change) (err error) {
		artifact, err = c.Create("Artifacts", part.Object(map[string]any{"Filename": name, "Source": "Project export", "ServerTaskId": task.ID, "LogCorrelationId": task.Log.ID(), "Created": t.service.Now()}))
		return err
	})
	if err != nil {
		return err
	}
	call := &collection.Call{Context: ctx, Service: t.service, Request: collection.Request{Space: task.Space}}
	if err := t.artifacts.Place(call, r, task.Space+"/"+artifact.Text("Id")); err != nil {
		return err
	}
	task.Log.Write(activity.Info, "The projects were exported to the artifact '"+name+"'.")
	return nil
}

// Import is the work of the task that was queued by POST projects/import-export/import.
func (t *Transfers) Import(ctx context.Context, task *queue.Task) error {
	request, password, err := t.request(ctx, task)
	if err != nil {
		return err
	}
	defer t.forget(ctx, task)
	b, err := t.open(request.Text("File"), password)
	if err != nil {
		return err
	}
	if err := b.Check(carried()); err != nil {
		return err
	}
	who, err := t.principal(ctx, task.By)
	if err != nil {
		return err
	}
	var told []string
	err = t.service.Transact(ctx, collection.Request{Principal: who, Space: task.Space}, func(c *collection.Change) (err error) {
		told, err = place(b, c)
		return err
	})
	if err != nil {
		return err
	}
	for _, sentence := range told {
		task.Log.Write(activity.Info, sentence)
	}
	return nil
}

// open reads a file that lies below the folder of data: "imports/Spaces-1/ProjectImportFiles-1".
func (t *Transfers) open(file, password string) (*bundle.Bundle, error) {
	folder, name := t.uploads, strings.TrimPrefix(file, "imports/")
	if rest, ok := strings.CutPrefix(file, "artifacts/"); ok {
		folder, name = t.artifacts, rest
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return bundle.Read(f, info.Size(), password, &t.keys)
}

// request reads what a task is to do, and the password.
func (t *Transfers) request(ctx context.Context, task *queue.Task) (octopus.Object, string, error) {
	id := task.Arguments.Text("TransferId")
	row, err := t.service.Store.Get(ctx, t.service.Store.DB.Read(), "ProjectTransfers", id, task.Space)
	if errors.Is(err, document.ErrNone) {
		return octopus.Object{}, "", problem.Invalid("What this task was to do is not known any more: ask for it again.")
	}
	if err != nil {
		return octopus.Object{}, "", err
	}
	secrets, err := t.service.Secrets(ctx, "ProjectTransfers", id, task.Space)
	if err != nil {
		return octopus.Object{}, "", err
	}
	o, err := octopus.ParseObject(row.Body)
	return o, secrets["/Password"], err
}

// forget removes the password. A task that was interrupted here leaves it sealed until the next transfer.
func (t *Transfers) forget(ctx context.Context, task *queue.Task) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := t.service.Quietly(ctx, collection.Request{Principal: permission.System(), Space: task.Space}, func(c *collection.Change) error {
		return c.Delete("ProjectTransfers", task.Arguments.Text("TransferId"))
	})
	if err != nil {
		task.Log.Write(activity.Warning, "The password of this task could not be removed from the database, where it lies sealed.")
	}
}

// principal is who asked for the task, for the events; what may be done was decided when it was asked for.
func (t *Transfers) principal(ctx context.Context, user string) (permission.Principal, error) {
	who := permission.System()
	row, err := t.service.Store.Get(ctx, t.service.Store.DB.Read(), "Users", user, "")
	if errors.Is(err, document.ErrNone) {
		return who, nil
	}
	if err != nil {
		return who, err
	}
	o, err := octopus.ParseObject(row.Body)
	who.ID, who.Username, who.Service = row.ID, o.Text("Username"), o.Bool("IsService")
	return who, err
}

// clean removes uploads that nobody has imported within a week, and passwords of tasks that ended before they began.
func (t *Transfers) clean(ctx context.Context, space string) error {
	store := t.service.Store
	var gone []document.Row
	for _, kind := range []string{"ProjectImportFiles", "ProjectTransfers"} {
		rows, _, err := store.List(ctx, store.DB.Read(), document.Query{Kind: kind, Spaces: []string{space}})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if old, err := t.old(ctx, row); err != nil {
				return err
			} else if old {
				gone = append(gone, row)
			}
		}
	}
	for _, row := range gone {
		err := t.service.Quietly(ctx, collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error { return c.Delete(row.Kind, row.ID) })
		if err == nil && row.Kind == "ProjectImportFiles" {
			err = t.uploads.Remove(space + "/" + row.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Transfers) old(ctx context.Context, row document.Row) (bool, error) {
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return false, err
	}
	if row.Kind == "ProjectImportFiles" {
		created, err := time.Parse(time.RFC3339, o.Text("Created"))
		return err != nil || t.service.Now().Sub(created) > 7*24*time.Hour, nil
	}
	task, err := t.service.Store.Get(ctx, t.service.Store.DB.Read(), "ServerTasks", o.Text("TaskId"), "*")
	if errors.Is(err, document.ErrNone) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	o, err = octopus.ParseObject(task.Body)
	return o.Bool("IsCompleted"), err
}
