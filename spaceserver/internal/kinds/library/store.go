package library

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/version"
)

// Store gives the packages of the built-in feed to those who deploy them.
type Store struct {
	service *collection.Service
	folder  host.Folder
}

// Package is the content of a package on this server's disk. The file may be removed when the package is replaced or
// deleted: open or copy it at once.
type Package struct {
	Space, ID, Version string
	Name               string // of the file, as it was pushed: Acme.Web.1.0.0.zip
	Extension          string // ".zip", ".tar.gz"
	Path               string
	Size               int64  // bytes
	Hash               string // SHA-1, lower case: what Octopus tells of packages
}

// NewStore reads the built-in feeds whose content lies below the server's folder of data.
func NewStore(service *collection.Service, data string) *Store {
	return &Store{service, packageFolder(data)}
}

func packageFolder(data string) host.Folder { return host.Folder{Dir: filepath.Join(data, "packages")} }

// Open finds a package of the space's built-in feed by id, in any case, and version: 1.0 finds 1.0.0 too. What is not in the
// feed, or not on this server's disk, is a 404 whose message says which.
func (s *Store) Open(ctx context.Context, space, packageID, number string) (Package, error) {
	store := s.service.Store
	row, err := store.Find(ctx, store.DB.Read(), "Packages", "packages-"+packageID+"."+number, []string{space}, "")
	if errors.Is(err, document.ErrNone) {
		row, err = s.same(ctx, space, packageID, number)
	}
	if err != nil {
		return Package{}, err
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return Package{}, err
	}
	p := Package{Space: space, ID: o.Text("PackageId"), Version: o.Text("Version"), Extension: o.Text("FileExtension"), Size: o.Int("PackageSizeBytes"), Hash: o.Text("Hash"),
		Path: filepath.Join(s.folder.Dir, filepath.FromSlash(contentName(space, o)))}
	p.Name = p.ID + "." + p.Version + p.Extension
	if _, err := os.Stat(p.Path); errors.Is(err, fs.ErrNotExist) {
		return p, problem.New(404, "The content of the package %s is not on this server's disk: push it again.", p.Name).Because(err)
	} else if err != nil {
		return p, err
	}
	return p, nil
}

// same finds the package whose version is the one that is asked for, written otherwise.
func (s *Store) same(ctx context.Context, space, packageID, number string) (document.Row, error) {
	wanted, ok := version.Parse(number)
	missing := problem.New(404, "The built-in feed has no package '%s' of version '%s': push it, or choose another version.", packageID, number)
	if !ok {
		return document.Row{}, missing
	}
	query := document.Query{Kind: "Packages", Spaces: []string{space}, Partial: "packages-" + packageID + "."}
	for row, err := range s.service.Store.Each(ctx, s.service.Store.DB.Read(), query) {
		if err != nil {
			return row, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return row, err
		}
		if v, ok := version.Parse(o.Text("Version")); ok && strings.EqualFold(o.Text("PackageId"), packageID) && v.Compare(wanted) == 0 {
			return row, nil
		}
	}
	return document.Row{}, missing
}
