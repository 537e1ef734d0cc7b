package library

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
)

// Retention removes packages of the built-in feeds that no release needs and that are older than their feed keeps them
// (DeleteUnreleasedPackagesAfterDays, BuiltInFeedResource.cs; docs: administration/retention-policies), build information
// that nobody can ask for any more, and files that belong to no package.
type Retention struct {
	service *collection.Service
	store   *Store
}

// NewRetention cleans the feeds whose content lies below the server's folder of data.
func NewRetention(service *collection.Service, data string) *Retention {
	return &Retention{service, NewStore(service, data)}
}

// External packages have no row of their own: what builds told of them is kept this long (docs: as above).
const keepBuilds = 100 * 24 * time.Hour

// stale is how old a file without a package must be to be taken for left over: younger ones may be on their way in.
const stale = time.Hour

// errChanged says that releases were made while it was looked which packages they use.
var errChanged = errors.New("releases were made meanwhile")

// Run does it for every space. A space that fails does not keep the others from it.
func (r *Retention) Run(ctx context.Context, log *activity.Log) error {
	var failed error
	for _, space := range r.service.Directory().Spaces {
		if err := r.space(ctx, space.ID, space.Name, log); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			failed = errors.Join(failed, fmt.Errorf("%s: %w", space.Name, err))
		}
	}
	return failed
}

func (r *Retention) space(ctx context.Context, space, name string, log *activity.Log) error {
	days, err := r.days(ctx, space)
	if err != nil {
		return err
	}
	if days > 0 {
		for range 3 {
			var gone int
			if gone, err = r.packages(ctx, space, time.Duration(days)*24*time.Hour); !errors.Is(err, errChanged) {
				log.Write(activity.Info, fmt.Sprintf("%s: %d packages that no release uses were older than %d days and are deleted.", name, gone, days))
				break
			}
		}
		if err != nil {
			return err
		}
	}
	builds, err := r.builds(ctx, space)
	if err != nil {
		return err
	}
	files, err := r.sweep(ctx, space)
	if builds+files > 0 {
		log.Write(activity.Info, fmt.Sprintf("%s: %d records of build information and %d files belonged to nothing and are deleted.", name, builds, files))
	}
	return err
}

// days is how long the space's built-in feed keeps packages without a release, 0 for ever.
func (r *Retention) days(ctx context.Context, space string) (int64, error) {
	rows, _, err := r.service.Store.List(ctx, r.service.Store.DB.Read(), document.Query{Kind: "Feeds", Spaces: []string{space}, Contains: `"FeedType":"BuiltIn"`, Take: 1})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	o, err := octopus.ParseObject(rows[0].Body)
	return o.Int("DeleteUnreleasedPackagesAfterDays"), err
}

// packages deletes what is old and unused. New releases make it stop: they may use what was found to be unused.
func (r *Retention) packages(ctx context.Context, space string, age time.Duration) (gone int, err error) {
	store := r.service.Store
	before, err := r.releases(ctx, nil)
	if err != nil {
		return 0, err
	}
	old, err := r.older(ctx, space, age)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	for _, kind := range []struct{ name, process, processes string }{{"Releases", "ProjectDeploymentProcessSnapshotId", "DeploymentProcesses"}, {"RunbookSnapshots", "FrozenRunbookProcessId", "RunbookProcesses"}} {
		for row, err := range store.Each(ctx, store.DB.Read(), document.Query{Kind: kind.name, Spaces: []string{space}}) {
			if err != nil {
				return 0, err
			}
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return 0, err
			}
			if err := r.spare(ctx, old, o, kind.processes, o.Text(kind.process), space); err != nil {
				return 0, err
			}
		}
	}
	for _, packages := range old {
		for _, p := range packages {
			err := r.service.Transact(ctx, collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error {
				if now, err := r.releases(ctx, c); err != nil || now != before {
					return errors.Join(err, errChanged)
				}
				return c.Delete("Packages", p.Text("Id"))
			})
			if err != nil {
				return gone, err
			}
			gone++
			if err := r.store.folder.Remove(contentName(space, p)); err != nil {
				return gone, err
			}
		}
	}
	return gone, nil
}

// releases counts the releases and snapshots that were ever made.
func (r *Retention) releases(ctx context.Context, c *collection.Change) (n int64, err error) {
	store := r.service.Store
	for _, kind := range []string{"Releases", "RunbookSnapshots"} {
		var one int64
		if c != nil {
			one, err = store.Counter(ctx, c.Tx, kind)
		} else {
			one, err = store.Counter(ctx, store.DB.Read(), kind)
		}
		if n += one; err != nil {
			return 0, err
		}
	}
	return n, nil
}

// older lists the packages that were published before, by their version.
func (r *Retention) older(ctx context.Context, space string, age time.Duration) (map[string][]octopus.Object, error) {
	store, old := r.service.Store, map[string][]octopus.Object{}
	for row, err := range store.Each(ctx, store.DB.Read(), document.Query{Kind: "Packages", Spaces: []string{space}}) {
		if err != nil {
			return nil, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		published, err := time.Parse(time.RFC3339, o.Text("Published"))
		if err == nil && r.service.Now().Sub(published) > age {
			number := strings.ToLower(o.Text("Version"))
			old[number] = append(old[number], o)
		}
	}
	return old, nil
}

// spare takes out of the old packages those that a release has selected. Where the process cannot say which package an action
// takes, as its id is a variable, all of that version stay.
func (r *Retention) spare(ctx context.Context, old map[string][]octopus.Object, release octopus.Object, kind, process, space string) error {
	var ids map[string]string
	for _, selected := range release.Objects("SelectedPackages") {
		number := strings.ToLower(selected.Text("Version"))
		if old[number] == nil {
			continue
		}
		if ids == nil {
			row, err := r.service.Store.Get(ctx, r.service.Store.DB.Read(), kind, process, space)
			if err != nil && !errors.Is(err, document.ErrNone) {
				return err
			}
			o, _ := octopus.ParseObject(row.Body) // without one nothing is known: all stay
			ids = packageIDs(o)
		}
		id := ids[reference(selected.Text("ActionName"), selected.Text("PackageReferenceName"))]
		var rest []octopus.Object
		for _, p := range old[number] {
			if id != "" && !strings.Contains(id, "#{") && !strings.EqualFold(p.Text("PackageId"), id) {
				rest = append(rest, p)
			}
		}
		old[number] = rest
	}
	return nil
}

func reference(action, name string) string {
	return strings.ToLower(action) + "\x00" + strings.ToLower(name)
}

// packageIDs tells which package each reference of a process names.
func packageIDs(process octopus.Object) map[string]string {
	ids := map[string]string{}
	for _, step := range process.Objects("Steps") {
		for _, action := range step.Objects("Actions") {
			for _, p := range action.Objects("Packages") {
				ids[reference(action.Text("Name"), p.Text("Name"))] = p.Text("PackageId")
			}
			if main := reference(action.Text("Name"), ""); ids[main] == "" {
				ids[main] = action.Object("Properties").Text("Octopus.Action.Package.PackageId")
			}
		}
	}
	return ids
}

// builds deletes what was told of packages that are not in the feed.
func (r *Retention) builds(ctx context.Context, space string) (gone int, err error) {
	store := r.service.Store
	var old []string
	for row, err := range store.Each(ctx, store.DB.Read(), document.Query{Kind: "BuildInformation", Spaces: []string{space}}) {
		if err != nil {
			return 0, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return 0, err
		}
		created, err := time.Parse(time.RFC3339, o.Text("Created"))
		if err != nil || r.service.Now().Sub(created) < keepBuilds {
			continue
		}
		_, err = store.Find(ctx, store.DB.Read(), "Packages", "packages-"+o.Text("PackageId")+"."+o.Text("Version"), []string{space}, "")
		if errors.Is(err, document.ErrNone) {
			old = append(old, row.ID)
		} else if err != nil {
			return 0, err
		}
	}
	for _, id := range old {
		err := r.service.Transact(ctx, collection.Request{Principal: permission.System(), Space: space}, func(c *collection.Change) error { return c.Delete("BuildInformation", id) })
		if err != nil {
			return gone, err
		}
		gone++
	}
	return gone, nil
}

// sweep removes files that no package names: a row and a file cannot be written in one transaction.
func (r *Retention) sweep(ctx context.Context, space string) (gone int, err error) {
	folder := filepath.Join(r.store.folder.Dir, space)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	left := map[string]bool{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > stale {
			left[e.Name()] = true
		}
	}
	store := r.service.Store
	for row, err := range store.Each(ctx, store.DB.Read(), document.Query{Kind: "Packages", Spaces: []string{space}}) {
		if err != nil {
			return 0, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return 0, err
		}
		delete(left, filepath.Base(contentName(space, o)))
	}
	for name := range left {
		if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return gone, err
		}
		gone++
	}
	return gone, nil
}
