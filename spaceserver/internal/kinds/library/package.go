package library

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/pack"
	"odcm/spaceserver/internal/problem"
)

// packageStore is the built-in feed: what is known of packages in documents, their content in files that are named by it.
type packageStore struct {
	host   *host.Host
	folder host.Folder
}

// Packages are those of the built-in feed.
func Packages(s *host.Host) []*collection.Kind {
	p := &packageStore{host: s, folder: packageFolder(s.Data)}
	return []*collection.Kind{{
		Name: "Packages", Type: "Package", Route: "packages", Title: "Id", RootLink: "-", Order: document.NewestFirst,
		Template: `{"Title":"","Summary":null,"Description":null,"ReleaseNotes":null,"Published":null,"PackageId":"","NuGetPackageId":"","Version":"","FeedId":"","NuGetFeedId":"",
			"FileExtension":"","PackageSizeBytes":0,"Hash":""}`,
		Required:   []string{"PackageId", "Version"},
		Permission: collection.Verbs{View: "FeedView", Create: "BuiltInFeedPush", Edit: "BuiltInFeedAdminister", Delete: "BuiltInFeedAdminister"},
		Without:    "list all create edit delete",
		Links:      map[string]string{"Raw": "packages/{Id}/raw"},
		Present:    presentPackage,
		Actions:    p.actions(),
	}}
}

func (p *packageStore) actions() []collection.Action {
	upload := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Permission: "BuiltInFeedPush", Writes: true, Large: true, Handle: handle}
	}
	read := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Permission: "FeedView", Handle: handle}
	}
	return []collection.Action{
		upload("POST", "packages/raw", p.push),
		upload("PUT", "nuget/packages", p.push),
		upload("POST", "packages/{id}/{version}/delta", p.pushDelta),
		read("packages/{id}/{version}/delta-signature", p.signature),
		read("packages", p.list),
		{Method: "GET", Path: "packages/{id}/raw", Permission: "BuiltInFeedDownload", Handle: p.raw},
		{Method: "DELETE", Path: "packages/{id}", Handle: func(c *collection.Call) (any, error) { return nil, p.delete(c, c.Param("id")) }},
		{Method: "DELETE", Path: "packages/bulk", Permission: "BuiltInFeedAdminister", Handle: func(c *collection.Call) (any, error) {
			for _, id := range collection.Split(c.Query, "ids") {
				if err := p.delete(c, id); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}},
		read("packages/notes", p.notes),
		read("feeds/stats", p.stats),
		read("feeds/{id}/packages", p.feedPackages),
		read("feeds/{id}/packages/search", p.search),
		read("feeds/{id}/packages/versions", p.versions),
		read("feeds/{id}/packages/notes", p.feedNotes),
	}
}

// presentPackage leaves out what only the server needs, and adds what a build has told of the package.
func presentPackage(v *collection.View, o *octopus.Object) error {
	o.Delete("SpaceId")
	o.Set("PackageVersionBuildInformation", nil)
	row, err := v.Service.Store.Find(v.Context, v.Service.Store.DB.Read(), "BuildInformation", buildName(o.Text("PackageId"), o.Text("Version")), []string{v.Row.Space}, "")
	if errors.Is(err, document.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	built, err := octopus.ParseObject(row.Body)
	hideBuild(&built)
	built.Set("Links", map[string]string{"Self": collection.Base(row.Space) + "/build-information/" + row.ID})
	o.Set("PackageVersionBuildInformation", built)
	return err
}

// uploaded finds the first file of a form, whatever its field is called: the CLI says "file", the TypeScript client
// "fileToUpload".
func uploaded(c *collection.Call) (name string, content io.Reader, err error) {
	typ, parameters, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(typ, "multipart/") {
		return "", nil, problem.Invalid("Please send the file as a form (multipart/form-data).")
	}
	form := multipart.NewReader(c.Body, parameters["boundary"])
	for {
		part, err := form.NextPart()
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return "", nil, err
		case err != nil:
			return "", nil, problem.Invalid("The form has no file.").Because(err)
		case part.FileName() != "":
			return filepath.Base(part.FileName()), part, nil
		}
	}
}

// push takes a package: 201 for a new one, 200 for one that was there, 409 where that is not wanted.
func (p *packageStore) push(c *collection.Call) (any, error) {
	name, content, err := uploaded(c)
	if err != nil {
		return nil, err
	}
	r, err := p.folder.Receive(func(w io.Writer) error { _, err := io.Copy(w, content); return err })
	if err != nil {
		return nil, err
	}
	defer r.Discard()
	return p.keep(c, r, name)
}

// describe makes the document of a package that arrived.
func (p *packageStore) describe(c *collection.Call, r host.Received, name string) (octopus.Object, error) {
	n, described := pack.ReadNuspec(r.Path)
	id, number, extension, err := pack.Name(name)
	if described && (err != nil || strings.EqualFold(extension, ".nupkg")) {
		// NuGet's own push calls the file "package": its name says nothing, its description all.
		id, number, extension, err = pack.Name(n.ID + "." + n.Version + ".nupkg")
	}
	if err != nil {
		return octopus.Object{}, err
	}
	feed, err := builtInFeed(c)
	if err != nil {
		return octopus.Object{}, err
	}
	o := part.Object(map[string]any{"Id": "packages-" + id + "." + number, "Title": id, "PackageId": id, "NuGetPackageId": id, "Version": number,
		"FileExtension": extension, "FeedId": feed, "NuGetFeedId": feed, "PackageSizeBytes": r.Size, "Hash": r.Hash, "Published": c.Service.Now()})
	for member, text := range map[string]string{"Title": n.Title, "Summary": n.Summary, "Description": n.Description, "ReleaseNotes": n.ReleaseNotes} {
		if text != "" {
			o.Set(member, text)
		}
	}
	return o, nil
}

func builtInFeed(c *collection.Call) (string, error) {
	rows, _, err := c.Service.Store.List(c.Context, c.Service.Store.DB.Read(), document.Query{Kind: "Feeds", Spaces: []string{c.Space}, Contains: `"FeedType":"BuiltIn"`, Take: 1})
	if err != nil || len(rows) == 0 {
		return "", part.OrInvalid(err, "The space has no built-in feed.")
	}
	return rows[0].ID, nil
}

// contentName is where a package's content lies. It tells the hash, so that a package that is replaced has a new file and
// whoever reads the old one still reads it to its end.
func contentName(space string, o octopus.Object) string {
	return space + "/" + strings.ToLower(o.Text("PackageId")+"."+o.Text("Version")+"-"+o.Text("Hash")) + o.Text("FileExtension")
}

func (p *packageStore) keep(c *collection.Call, r host.Received, name string) (any, error) {
	o, err := p.describe(c, r, name)
	if err != nil {
		return nil, err
	}
	id, status := o.Text("Id"), http.StatusCreated
	store := c.Service.Store
	existing, err := store.Find(c.Context, store.DB.Read(), "Packages", id, []string{c.Space}, "")
	if err != nil && !errors.Is(err, document.ErrNone) {
		return nil, err
	}
	var old octopus.Object
	if err == nil {
		status, id = http.StatusOK, existing.ID
		if old, err = octopus.ParseObject(existing.Body); err != nil {
			return nil, err
		}
		switch mode := c.Query.Get("overwriteMode"); {
		case strings.EqualFold(mode, "IgnoreIfExists"):
			return p.answer(c, status, id)
		case strings.EqualFold(mode, "OverwriteExisting"), mode == "" && strings.EqualFold(c.Query.Get("replace"), "true"):
			if !c.Principal.Set.Holds("BuiltInFeedAdminister", c.Space) {
				return nil, problem.Denied("BuiltInFeedAdminister")
			}
		default:
			return nil, taken(o)
		}
	}
	if err := p.folder.Place(c, r, contentName(c.Space, o)); err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		change = change.In(c.Space)
		if status == http.StatusOK {
			if err := change.Delete("Packages", id); err != nil {
				return err
			}
		}
		_, err := change.Create("Packages", o)
		return err
	})
	if err != nil {
		if _, there := store.Find(c.Context, store.DB.Read(), "Packages", id, []string{c.Space}, ""); there == nil && status == http.StatusCreated {
			return nil, taken(o) // somebody pushed it at the same time. What was placed is swept, unless it is the same content
		}
		return nil, err
	}
	if status == http.StatusOK && contentName(c.Space, old) != contentName(c.Space, o) {
		if err := p.folder.Remove(contentName(c.Space, old)); err != nil {
			return nil, err
		}
	}
	return p.answer(c, status, o.Text("Id"))
}

func taken(o octopus.Object) error {
	return problem.New(http.StatusConflict, "A package with the id '%s' and version '%s' is there already. Use overwriteMode=OverwriteExisting to replace it.", o.Text("PackageId"), o.Text("Version"))
}

func (p *packageStore) answer(c *collection.Call, status int, id string) (any, error) {
	d, err := p.find(c, id)
	return collection.Answer{Status: status, Value: d}, err
}

// find looks in the space of the request: the same package may be in another.
func (p *packageStore) find(c *collection.Call, id string) (collection.Document, error) {
	return c.Find("Packages", id)
}

func (p *packageStore) delete(c *collection.Call, id string) error {
	d, err := p.find(c, id)
	if err != nil {
		return err
	}
	if err := c.Service.Delete(c.Context, c.Request, c.Service.Kind("Packages"), d.ID); err != nil {
		return err
	}
	return p.folder.Remove(contentName(d.Space, d.Object()))
}

func (p *packageStore) raw(c *collection.Call) (any, error) {
	d, err := p.find(c, c.Param("id"))
	if err != nil {
		return nil, err
	}
	o := d.Object()
	file, err := p.folder.Open(contentName(d.Space, o))
	if err != nil {
		return nil, err
	}
	return collection.Content{Type: "application/octet-stream", Name: o.Text("PackageId") + "." + o.Text("Version") + o.Text("FileExtension"), Body: file}, nil
}

// stats tells how many packages the feed holds.
func (p *packageStore) stats(c *collection.Call) (any, error) {
	n, err := c.Service.Store.Count(c.Context, c.Service.Store.DB.Read(), "Packages", c.Space)
	return map[string]any{"Id": "feeds-builtin-stats", "TotalPackages": n, "Links": map[string]string{"Self": collection.Base(c.Space) + "/feeds/stats"}}, err
}
