package library

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/OctopusDeploy/go-octodiff/pkg/octodiff"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/version"
)

// known is a package of the built-in feed with its version read.
type known struct {
	octopus.Object
	version version.Version
}

// all reads the packages of the space, newest version first, those of one id first.
func (p *packageStore) all(c *collection.Call, keep func(o octopus.Object) bool) ([]known, error) {
	var list []known
	for row, err := range c.Service.Store.Each(c.Context, c.Service.Store.DB.Read(), document.Query{Kind: "Packages", Spaces: []string{c.Space}}) {
		if err != nil {
			return nil, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		if !keep(o) {
			continue
		}
		v, _ := version.Parse(o.Text("Version"))
		list = append(list, known{o, v})
	}
	slices.SortFunc(list, func(a, b known) int {
		if n := strings.Compare(strings.ToLower(a.Text("PackageId")), strings.ToLower(b.Text("PackageId"))); n != 0 {
			return n
		}
		return b.version.Order(a.version)
	})
	return list, nil
}

// latest keeps the first of each id: the newest version.
func latest(list []known) []known {
	return slices.CompactFunc(list, func(a, b known) bool { return strings.EqualFold(a.Text("PackageId"), b.Text("PackageId")) })
}

func matchesText(o octopus.Object, term string) bool {
	return term == "" || strings.Contains(strings.ToLower(o.Text("PackageId")+" "+o.Text("Title")), strings.ToLower(term))
}

// listed is a package in a list: PackageResource has neither size nor hash.
func listed(space string, k known) octopus.Object {
	o := k.Clone()
	for _, member := range []string{"SpaceId", "PackageSizeBytes", "Hash"} {
		o.Delete(member)
	}
	o.Set("PackageVersionBuildInformation", nil)
	self := collection.Base(space) + "/packages/" + o.Text("Id")
	o.Set("Links", map[string]string{"Self": self, "Raw": self + "/raw"})
	return o
}

func (p *packageStore) list(c *collection.Call) (any, error) {
	id, filter := c.Query.Get("nuGetPackageId"), c.Query.Get("filter")
	found, err := p.all(c, func(o octopus.Object) bool {
		return (id == "" || strings.EqualFold(o.Text("PackageId"), id)) && matchesText(o, filter)
	})
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(c.Query.Get("latest"), "true") {
		found = latest(found)
	}
	return paged(c, "Package", "packages", found, func(k known) octopus.Object { return listed(c.Space, k) }), nil
}

// paged makes a page of what is shown of a list, and works only for what is on it.
func paged[A any](c *collection.Call, itemType, path string, list []A, show func(A) octopus.Object) collection.Page[octopus.Object] {
	some := part.Page(c, itemType, path, list)
	shown := collection.Page[octopus.Object]{ItemType: some.ItemType, Total: some.Total, Skip: some.Skip, Take: some.Take, Path: some.Path, Template: some.Template}
	for _, item := range some.Items {
		shown.Items = append(shown.Items, show(item))
	}
	return shown
}

// feed finds the feed of the route and refuses those that are elsewhere: a server that fetches what its users name is a
// way into its network, so that waits for the rules of kit/egress.
func (p *packageStore) feed(c *collection.Call) (collection.Document, error) {
	d, err := c.Find("Feeds", c.Param("id"))
	if err == nil && d.Object().Text("FeedType") != "BuiltIn" {
		err = problem.Unsupported("This Space server version does not ask external feeds for their packages.")
	}
	return d, err
}

func (p *packageStore) search(c *collection.Call) (any, error) {
	feed, err := p.feed(c)
	if err != nil {
		return nil, err
	}
	term := c.Query.Get("term")
	found, err := p.all(c, func(o octopus.Object) bool { return matchesText(o, term) })
	if err != nil {
		return nil, err
	}
	base := collection.Base(c.Space) + "/feeds/" + feed.ID + "/packages"
	return paged(c, "PackageDescription", "feeds/"+feed.ID+"/packages/search", latest(found), func(k known) octopus.Object {
		o := part.Object(nil)
		o.Set("Id", k.Text("PackageId"))
		o.Set("Name", k.Text("PackageId"))
		o.Set("Description", k.Text("Description"))
		o.Set("LatestVersion", k.Text("Version"))
		o.Set("Links", map[string]string{"SearchPackageVersionsTemplate": base + "/versions?packageId=" + k.Text("PackageId") + "{&take,skip,includePreRelease,versionRange,preReleaseTag,filter,includeReleaseNotes}"})
		return o
	}), nil
}

// wantedVersions narrows versions as the routes of a feed do: pre-releases, a range, a tag, a part of the version.
func wantedVersions(c *collection.Call) (func(o octopus.Object) bool, error) {
	rule, err := version.ParseRule(c.Query.Get("versionRange"), c.Query.Get("preReleaseTag"))
	if err != nil {
		return nil, err
	}
	filter := strings.ToLower(c.Query.Get("filter"))
	stable := strings.EqualFold(c.Query.Get("includePreRelease"), "false")
	return func(o octopus.Object) bool {
		v, _ := version.Parse(o.Text("Version"))
		return rule.Has(v) && (!stable || v.Pre == "") && strings.Contains(strings.ToLower(o.Text("Version")), filter)
	}, nil
}

func (p *packageStore) versions(c *collection.Call) (any, error) {
	feed, err := p.feed(c)
	if err != nil {
		return nil, err
	}
	wanted, err := wantedVersions(c)
	if err != nil {
		return nil, err
	}
	id := c.Query.Get("packageId")
	found, err := p.all(c, func(o octopus.Object) bool { return strings.EqualFold(o.Text("PackageId"), id) && wanted(o) })
	if err != nil {
		return nil, err
	}
	base := collection.Base(c.Space) + "/feeds/" + feed.ID + "/packages"
	return paged(c, "PackageVersion", "feeds/"+feed.ID+"/packages/versions", found, func(k known) octopus.Object {
		o := part.Object(nil)
		o.Set("Id", k.Text("Id"))
		for _, member := range []string{"PackageId", "Title", "Version", "FeedId", "Published", "ReleaseNotes"} {
			value, _ := k.Get(member)
			o.Set(member, value)
		}
		o.Set("SizeBytes", k.Int("PackageSizeBytes"))
		o.Set("Links", map[string]string{"Notes": base + "/notes?packageId=" + k.Text("PackageId") + "&version=" + k.Text("Version")})
		return o
	}), nil
}

// feedPackages is the older search: a bare array, the newest version of each unless all are wanted.
func (p *packageStore) feedPackages(c *collection.Call) (any, error) {
	if _, err := p.feed(c); err != nil {
		return nil, err
	}
	wanted, err := wantedVersions(c)
	if err != nil {
		return nil, err
	}
	id, partial := c.Query.Get("packageId"), strings.EqualFold(c.Query.Get("partialMatch"), "true")
	found, err := p.all(c, func(o octopus.Object) bool {
		return wanted(o) && (id == "" || strings.EqualFold(o.Text("PackageId"), id) || partial && matchesText(o, id))
	})
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(c.Query.Get("includeMultipleVersions"), "true") {
		found = latest(found)
	}
	shown := []octopus.Object{}
	for _, k := range found[:min(len(found), collection.Number(c.Query, "take", collection.DefaultTake))] {
		shown = append(shown, listed(c.Space, k))
	}
	return shown, nil
}

func (p *packageStore) feedNotes(c *collection.Call) (any, error) {
	if _, err := p.feed(c); err != nil {
		return nil, err
	}
	d, err := p.find(c, "packages-"+c.Query.Get("packageId")+"."+c.Query.Get("version"))
	return collection.Content{Type: "text/markdown; charset=utf-8", Body: strings.NewReader(d.Object().Text("ReleaseNotes"))}, err
}

func (p *packageStore) notes(c *collection.Call) (any, error) {
	found := []any{}
	for _, id := range collection.Split(c.Query, "packageIds") {
		d, err := p.find(c, id)
		if err != nil {
			return nil, err
		}
		o := d.Object()
		found = append(found, map[string]any{"PackageId": o.Text("PackageId"), "FeedId": o.Text("FeedId"), "Version": o.Text("Version"),
			"Notes": map[string]any{"Succeeded": true, "Notes": o.Text("ReleaseNotes"), "FailureReason": nil, "DisplayMessage": nil}})
	}
	return map[string]any{"Packages": found, "Links": map[string]string{"Self": collection.Base(c.Space) + "/packages/notes"}}, nil
}

// signature answers the signature of the package that is most like the one to come, so that the client sends only what is
// different: the newest of the same id (OctopusDeploy/Octodiff).
func (p *packageStore) signature(c *collection.Call) (any, error) {
	id := c.Param("id")
	found, err := p.all(c, func(o octopus.Object) bool {
		return strings.EqualFold(o.Text("PackageId"), id) && !strings.EqualFold(o.Text("Version"), c.Param("version"))
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, problem.NotFound("Package", id)
	}
	base := found[0]
	file, err := p.folder.Open(contentName(c.Space, base.Object))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var b bytes.Buffer
	if err := octodiff.NewSignatureBuilder().Build(file, base.Int("PackageSizeBytes"), &b); err != nil {
		return nil, err
	}
	return map[string]any{"Signature": base64.StdEncoding.EncodeToString(b.Bytes()), "BaseVersion": base.Text("Version")}, nil
}

// pushDelta makes the new package of the base and the delta that was sent.
func (p *packageStore) pushDelta(c *collection.Call) (any, error) {
	base, err := p.find(c, "packages-"+c.Param("id")+"."+c.Param("version"))
	if err != nil {
		return nil, err
	}
	name, content, err := uploaded(c)
	if err != nil {
		return nil, err
	}
	delta, err := p.folder.Receive(func(w io.Writer) error { _, err := io.Copy(w, content); return err })
	if err != nil {
		return nil, err
	}
	defer delta.Discard()
	r, err := p.apply(base, delta)
	if err != nil {
		return nil, err
	}
	defer r.Discard()
	return p.keep(c, r, name)
}

func (p *packageStore) apply(base collection.Document, delta host.Received) (host.Received, error) {
	from, err := p.folder.Open(contentName(base.Space, base.Object()))
	if err != nil {
		return host.Received{}, err
	}
	defer from.Close()
	patch, err := delta.Open()
	if err != nil {
		return host.Received{}, err
	}
	defer patch.Close()
	reader := octodiff.NewBinaryDeltaReader(patch)
	r, err := p.folder.Receive(func(w io.Writer) error {
		return octodiff.ApplyDelta(from, reader, &bounded{w, p.host.MaxPackage})
	})
	if err != nil {
		return r, problem.New(http.StatusBadRequest, "The delta does not fit its base, or is broken: send the whole package.").Because(err)
	}
	made, err := r.Open()
	if err == nil {
		defer made.Close()
		err = octodiff.VerifyNewFile(made, reader)
	}
	if err != nil {
		r.Discard()
		return host.Received{}, problem.New(http.StatusBadRequest, "The delta does not fit its base, or is broken: send the whole package.").Because(err)
	}
	return r, nil
}

// bounded fails a writer behind its limit: a delta of a few bytes can ask for any number of copies of its base.
type bounded struct {
	io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, problem.New(413, "The content is larger than this server's limit for packages.")
	}
	return b.Writer.Write(p)
}
