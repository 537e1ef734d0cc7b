// Package pack reads packages: what their names say, what is in them, and their content onto a disk, without trusting any of
// it (zip, nupkg, jar, war, tar, tar.gz, tgz, tar.bz2).
package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/version"
)

// Limits bound what an archive may do to a disk.
type Limits struct {
	Files int   // entries of any kind; 100,000 if 0
	Bytes int64 // all files together; 10 GiB if 0
	Ratio int64 // extracted to packed; 200 if 0, looked at above 100 MiB only
}

// Summary says what was extracted.
type Summary struct {
	Files int // files and links, no folders
	Bytes int64
}

// format is how an archive is packed.
type format int

const (
	unknown format = iota
	zipped
	nuget
	tarred
	gzipped
	bzipped
)

var formats = []struct {
	suffix string
	format format
}{{".zip", zipped}, {".nupkg", nuget}, {".jar", zipped}, {".war", zipped}, {".ear", zipped}, {".whl", zipped}, {".tar", tarred},
	{".tar.gz", gzipped}, {".tgz", gzipped}, {".tar.bz2", bzipped}, {".tar.bz", bzipped}, {".tbz", bzipped}, {".tbz2", bzipped}}

func formatOf(name string) format {
	for _, f := range formats {
		if strings.HasSuffix(strings.ToLower(name), f.suffix) {
			return f.format
		}
	}
	return unknown
}

// Extract writes the content of the archive at path into a folder, which is made; an empty one may be there. Entries that
// would leave it, absolute names, links that point out of it and devices are refused before anything of them is written; on
// an error the folder is removed. The name decides the format.
func Extract(ctx context.Context, path, name, into string, limits Limits) (s Summary, err error) {
	f := formatOf(name)
	if f == unknown {
		return s, problem.Invalid("'" + name + "' is not a package that can be extracted: it must be a zip, nupkg, jar, war, tar, tar.gz, tgz or tar.bz2 file.")
	}
	file, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return s, err
	}
	if err := empty(into); err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(explain(err, name), os.RemoveAll(into))
		}
	}()
	root, err := os.OpenRoot(into)
	if err != nil {
		return s, err
	}
	defer root.Close()
	x := extraction{context: ctx, root: root, limits: Limits{cmp.Or(limits.Files, 100_000), cmp.Or(limits.Bytes, 10<<30), cmp.Or(limits.Ratio, 200)}, packed: info.Size(), links: map[string]bool{}, files: map[string]bool{}}
	if f == zipped || f == nuget {
		err = x.zip(file, info.Size(), f == nuget)
	} else {
		err = x.tar(file, f)
	}
	return x.done, err
}

// empty makes the folder, or makes sure that there is nothing in it: what is there would be removed with an error.
func empty(folder string) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil { //nolint:gosec // the script that the package is for runs as somebody else
		return err
	}
	err := os.Mkdir(folder, 0o755) //nolint:gosec // see above
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("extract into %s: there is something in it", folder)
	}
	return err
}

func explain(err error, name string) error {
	var told *problem.Error
	switch {
	case errors.As(err, &told), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return problem.New(507, "The disk is full: the package '%s' could not be extracted.", name).Because(err)
	}
	return problem.Invalid("The package '" + name + "' could not be extracted: it is damaged, or not what its name says.").Because(err)
}

// fileName splits a name as Octopus does: the version is what follows the first dot behind which nothing but a version comes
// (PackageIdentityParser and PackageName.cs in OctopusDeploy/Calamari).
var fileName = regexp.MustCompile(`^(\w+(?:[_.-]\w+)*?)\.(\d+(?:\.\d+){0,3}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)$`)

// tarExtension is the one kind of extension with two parts: in x.1.0.0-rc.tar.gz, tar belongs to it and not to the version.
var (
	tarExtension  = regexp.MustCompile(`(?i)\.tar(?:\.[a-z0-9]+)?$`)
	lastExtension = regexp.MustCompile(`(?i)\.[a-z0-9]+$`)
)

// Name reads "Acme.Web.1.2.3-beta.zip" as id, version and extension (".zip").
func Name(file string) (id, number, extension string, err error) {
	extension = tarExtension.FindString(file)
	if extension == "" {
		extension = lastExtension.FindString(file)
	}
	m := fileName.FindStringSubmatch(strings.TrimSuffix(file, extension))
	if m != nil && extension != "" && len(file) <= 200 {
		if _, ok := version.Parse(m[2]); ok {
			return m[1], m[2], extension, nil
		}
	}
	return "", "", "", problem.Invalid("The file name '" + strings.ToValidUTF8(file, "?") + "' does not tell a package's id and version: name it as Acme.Web.1.2.3.zip.")
}
