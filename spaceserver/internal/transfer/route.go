package transfer

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"path/filepath"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/transfer/bundle"
)

// Actions are the routes (projectExport*.ts and projectImport*.ts in OctopusDeploy/message-contracts.ts).
func (t *Transfers) Actions() []collection.Action {
	return []collection.Action{
		{Method: "POST", Path: "projects/import-export/export", Permission: "ProjectView", Writes: true, Handle: t.askExport},
		{Method: "GET", Path: "projects/import-export/import-files", Permission: "ProjectCreate", Handle: t.files},
		{Method: "POST", Path: "projects/import-export/import-files", Permission: "ProjectCreate", Writes: true, Large: true, Handle: t.upload},
		{Method: "POST", Path: "projects/import-export/import/preview", Permission: "ProjectCreate", Handle: t.preview},
		{Method: "POST", Path: "projects/import-export/import", Permission: "ProjectCreate", Writes: true, Handle: t.askImport},
	}
}

// secret is a sensitive value on its way in (SensitiveValue.cs).
type secret struct {
	HasValue bool
	NewValue *string
}

func (s secret) value() (string, error) {
	if s.NewValue == nil || *s.NewValue == "" {
		return "", problem.Invalid("Please provide a password: it encrypts the sensitive values of the export.")
	}
	return *s.NewValue, nil
}

func (t *Transfers) askExport(c *collection.Call) (any, error) {
	var sent struct {
		IncludedProjectIDs []string `json:"IncludedProjectIds"`
		Password           secret
	}
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	password, err := sent.Password.value()
	if err != nil {
		return nil, err
	}
	if len(sent.IncludedProjectIDs) == 0 {
		return nil, problem.Invalid("Please name at least one project in IncludedProjectIds.")
	}
	projects, names := []string{}, []string{}
	for _, id := range sent.IncludedProjectIDs {
		d, err := c.Find("Projects", id)
		if err != nil {
			return nil, err
		}
		projects, names = append(projects, d.ID), append(names, d.Object().Text("Name"))
	}
	b, err := t.gather(c.Context, c.Space, projects, func(string) {})
	if err != nil {
		return nil, err
	}
	if err := allowed(b, c.Service, c.Principal, c.Space); err != nil {
		return nil, err
	}
	var documents []string
	for _, i := range b.Items {
		documents = append(documents, i.Place(""))
	}
	task, err := t.enqueue(c, ExportTask, "Export projects: "+short(names), password, map[string]any{"ProjectIds": projects, "Documents": documents})
	return map[string]any{"TaskId": task, "ProjectIds": projects}, err
}

func short(names []string) string {
	if len(names) > 5 {
		names = append(names[:5:5], "...")
	}
	return strings.Join(names, ", ")
}

// enqueue queues a task. What it needs is sealed beside it, as the arguments of tasks are shown.
func (t *Transfers) enqueue(c *collection.Call, name, description, password string, request map[string]any) (string, error) {
	if err := errors.Join(c.Service.Ready(), t.clean(c.Context, c.Space)); err != nil {
		return "", err
	}
	var id string
	err := c.Transact(func(change *collection.Change) error {
		change = change.In(c.Space)
		request["Password"] = map[string]any{"HasValue": true, "NewValue": password}
		kept, err := change.Create("ProjectTransfers", part.Object(request))
		if err != nil {
			return err
		}
		task, err := t.host.Queue.Enqueue(change, queue.Request{Name: name, Description: description, Space: c.Space, By: c.Principal.ID, Serial: "transfer/" + c.Space,
			Arguments: map[string]any{"TransferId": kept.Text("Id")}})
		if err != nil {
			return err
		}
		id = task.Text("Id")
		return change.Edit("ProjectTransfers", kept.Text("Id"), func(o *octopus.Object) error {
			o.Set("TaskId", id)
			return nil
		})
	})
	return id, err
}

// files lists what was uploaded and not yet removed.
func (t *Transfers) files(c *collection.Call) (any, error) {
	rows, _, err := c.Service.Store.List(c.Context, c.Service.Store.DB.Read(), document.Query{Kind: "ProjectImportFiles", Spaces: []string{c.Space}, Order: document.NewestFirst})
	if err != nil {
		return nil, err
	}
	files := []any{}
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		files = append(files, map[string]any{"Id": row.ID, "FileName": o.Text("FileName")})
	}
	return map[string]any{"ProjectImportFiles": files}, nil
}

// upload takes the first file of a form.
func (t *Transfers) upload(c *collection.Call) (any, error) {
	if err := t.clean(c.Context, c.Space); err != nil {
		return nil, err
	}
	typ, parameters, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(typ, "multipart/") {
		return nil, problem.Invalid("Please send the file as a form (multipart/form-data).")
	}
	form := multipart.NewReader(c.Body, parameters["boundary"])
	for {
		piece, err := form.NextPart()
		if err != nil {
			return nil, problem.Invalid("The form has no file.").Because(err)
		}
		if piece.FileName() != "" {
			return t.keep(c, piece, filepath.Base(strings.ReplaceAll(piece.FileName(), `\`, "/")))
		}
	}
}

func (t *Transfers) keep(c *collection.Call, content io.Reader, name string) (any, error) {
	r, err := t.uploads.Receive(func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(content, bundle.LargestFile+1))
		if err == nil && n > bundle.LargestFile {
			return problem.New(413, "The file is larger than an export of projects can be.")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	defer r.Discard()
	var file octopus.Object
	err = c.Transact(func(change *collection.Change) (err error) {
		file, err = change.In(c.Space).Create("ProjectImportFiles", part.Object(map[string]any{"FileName": name[:min(len(name), 300)], "Created": c.Service.Now()}))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := t.uploads.Place(c, r, c.Space+"/"+file.Text("Id")); err != nil {
		return nil, err
	}
	return collection.Made{Value: map[string]any{"Id": file.Text("Id"), "FileName": file.Text("FileName")}}, nil
}

// importing is the body of both routes that read a file.
type importing struct {
	ImportSource struct {
		Type           string
		SpaceID        string `json:"SpaceId"`
		TaskID         string `json:"TaskId"`
		UploadedFileID string `json:"UploadedFileId"`
	}
	Password secret
}

// source finds the file that is named, and opens it: a wrong password is told at once.
func (t *Transfers) source(c *collection.Call) (file, password string, b *bundle.Bundle, err error) {
	var sent importing
	if err := c.Decode(&sent); err != nil {
		return "", "", nil, err
	}
	if password, err = sent.Password.value(); err != nil {
		return "", "", nil, err
	}
	switch from := sent.ImportSource; strings.ToLower(from.Type) {
	case "upload":
		row, err := c.Service.Store.Get(c.Context, c.Service.Store.DB.Read(), "ProjectImportFiles", from.UploadedFileID, c.Space)
		if errors.Is(err, document.ErrNone) {
			return "", "", nil, problem.NotFound("ProjectImportFile", from.UploadedFileID)
		}
		if err != nil {
			return "", "", nil, err
		}
		file = "imports/" + c.Space + "/" + row.ID
	case "space":
		if file, err = t.exported(c, from.SpaceID, from.TaskID); err != nil {
			return "", "", nil, err
		}
	default:
		return "", "", nil, problem.Invalid("ImportSource.Type must be 'space' or 'upload'.")
	}
	b, err = t.open(file, password)
	return file, password, b, err
}

// exported finds the file that an export in a space of this server has made, among what the caller may see there.
func (t *Transfers) exported(c *collection.Call, space, task string) (string, error) {
	if !c.Service.Directory().Has(space) || !c.Principal.Set.Enters(space) {
		return "", problem.NotFound("Space", cmp.Or(space, "(none)"))
	}
	there := collection.Request{Principal: c.Principal, Space: space, Named: true}
	page, err := c.Service.List(c.Context, there, c.Service.Kind("Artifacts"), collection.Listing{All: true, Filter: func(o octopus.Object) bool {
		return o.Text("ServerTaskId") == task && o.Text("Source") == "Project export"
	}})
	if err != nil {
		return "", err
	}
	if len(page.Items) == 0 {
		return "", problem.Invalid("The task '" + task + "' has exported no projects, or has not ended yet.")
	}
	return "artifacts/" + space + "/" + page.Items[0].ID, nil
}

func (t *Transfers) askImport(c *collection.Call) (any, error) {
	file, password, b, err := t.source(c)
	if err != nil {
		return nil, err
	}
	p, err := t.plan(c.Context, c.Space, b)
	if err != nil {
		return nil, err
	}
	if err := p.needs(c.Service, c.Principal, c.Space); err != nil {
		return nil, err
	}
	var names []string
	for _, i := range p.projects {
		names = append(names, i.Name())
	}
	task, err := t.enqueue(c, ImportTask, "Import projects: "+short(names), password, map[string]any{"File": file})
	return map[string]any{"TaskId": task}, err
}

// preview lists what an import would make (ProjectImportPreviewResponse), and, which Octopus does not, what is there and stays.
func (t *Transfers) preview(c *collection.Call) (any, error) {
	_, _, b, err := t.source(c)
	if err != nil {
		return nil, err
	}
	p, err := t.plan(c.Context, c.Space, b)
	if err != nil {
		return nil, err
	}
	names := func(of []*bundle.Item, kind string) []string {
		list := []string{}
		for _, i := range of {
			if i.Kind == kind {
				list = append(list, i.Name())
			}
		}
		return list
	}
	summaries := func(kind, typ string) []any {
		list := []any{}
		for _, i := range p.makes {
			if i.Kind == kind {
				list = append(list, map[string]any{"Name": i.Name(), "Type": cmp.Or(i.Body.Text(typ), "StaticWorkerPool"), "IsDynamic": false})
			}
		}
		return list
	}
	projects := []any{}
	for _, project := range p.projects {
		own := func(kind string) []string {
			list := []string{}
			for _, i := range b.Of(kind) {
				if i.Owner() == project.ID {
					list = append(list, i.Name())
				}
			}
			return list
		}
		projects = append(projects, map[string]any{"Name": project.Name(), "Channels": own("Channels"), "Runbooks": own("Runbooks")})
	}
	answer := map[string]any{"Projects": projects, "Accounts": summaries("Accounts", "AccountType"), "Feeds": summaries("Feeds", "FeedType"), "WorkerPools": summaries("WorkerPools", "")}
	existing := map[string]any{"Projects": names(p.keeps, "Projects")}
	for _, kind := range shared {
		existing[kind] = names(p.keeps, kind)
		if answer[kind] == nil {
			answer[kind] = names(p.makes, kind)
		}
	}
	answer["Existing"] = existing
	return answer, nil
}
