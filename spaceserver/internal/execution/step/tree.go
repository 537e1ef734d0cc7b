package step

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/pack"
	"odcm/spaceserver/internal/script"
	"odcm/spaceserver/internal/substitution"
)

// tree is the content of packages on this server, on its way to a place. Packages are taken apart here, where that is safe,
// and travel as a plain tar archive: a target needs no more than tar.
type tree struct {
	dir string // on this server
	at  string // absolute, at the place
}

func (t *tree) remove() { _ = os.RemoveAll(t.dir) } // what stays is found by the next start

// read reads a file of the tree; links cannot lead out of it.
func (t *tree) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(name)
}

// archive writes the tree as a tar archive. Links are kept as links.
func (t *tree) archive(to io.Writer) error {
	out := tar.NewWriter(to)
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return add(out, root, name, d)
	})
	return errors.Join(err, out.Close())
}

func add(out *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = root.Readlink(name); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	if d.IsDir() {
		header.Name += "/"
	}
	if err := out.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}

// file is the archive as a file that goes along with a script.
func (t *tree) file() script.File {
	return script.File{Name: archiveName, Mode: 0o600, Open: func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(t.archive(w)) }()
		return r, nil
	}}
}

const archiveName = "octopus-package.tar"

// references makes ready what packages a script step names (docs: deployments/custom-scripts/run-a-script-step
// #referencing-packages-package-files): the script's own in the working folder, others in a folder or a file of their name.
func (w *Worker) references(ctx context.Context, p *run.Piece, place script.Place, folder string) (_ *tree, err error) {
	root, err := place.Root(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := w.temporary()
	if err != nil {
		return nil, err
	}
	t := &tree{dir: dir, at: path.Join(root, folder)}
	defer func() {
		if err != nil {
			t.remove()
		}
	}()
	// The script's own package first: it wants an empty folder.
	for _, own := range []bool{true, false} {
		for _, wanted := range p.Job.Action.Packages {
			if (wanted.Name == "") != own || wanted.AcquisitionLocation == "NotAcquired" {
				continue
			}
			found, err := w.Find(ctx, p, wanted)
			if err != nil {
				return nil, err
			}
			if err := w.refer(ctx, p, t, wanted, found); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// refer puts one package into the tree and its whereabouts into variables.
func (w *Worker) refer(ctx context.Context, p *run.Piece, t *tree, wanted plan.Package, found Found) error {
	prefix := "Octopus.Action.Package[" + wanted.Name + "]."
	set := func(name, value string) { p.Variables.Set(prefix+name, value, false) }
	set("PackageId", found.ID)
	set("PackageVersion", found.Version)
	set("FeedId", found.Feed)
	extract, err := p.Variables.Expand(wanted.Properties.Get("Extract"))
	if err != nil {
		return err
	}
	name := fileName(wanted.Name)
	switch {
	case wanted.Name == "":
		p.Log.Write(activity.Verbose, "Extracting "+found.FileName())
		p.Variables.Set("Octopus.Action.Package.PackageId", found.ID, false)
		p.Variables.Set("Octopus.Action.Package.PackageVersion", found.Version, false)
		set("ExtractedPath", t.at)
		_, err := pack.Extract(ctx, found.Path, found.FileName(), t.dir, pack.Limits{})
		if err != nil {
			return err
		}
		return w.configure(p, t.dir)
	case substitution.Truthy(extract.Text):
		p.Log.Write(activity.Verbose, "Extracting "+found.FileName())
		set("ExtractedPath", path.Join(t.at, name))
		_, err := pack.Extract(ctx, found.Path, found.FileName(), filepath.Join(t.dir, name), pack.Limits{})
		return err
	}
	set("PackageFilePath", path.Join(t.at, name+found.Extension))
	set("PackageFileName", name+found.Extension)
	set("OriginalPath", path.Join(t.at, name+found.Extension))
	return copyFile(found.Path, filepath.Join(t.dir, name+found.Extension))
}

// lay puts the tree into the working folder at the place, for the script that runs there next.
func (w *Worker) lay(ctx context.Context, place script.Place, t *tree, folder string) error {
	_, err := w.own(ctx, place, script.Work{Folder: folder, Keep: true, Files: []script.File{t.file()},
		Body: "set -e\ncd " + quote(t.at) + "\ntar -xf " + archiveName + "\nrm -f " + archiveName + "\n"}, &quiet{})
	if err != nil {
		return fmt.Errorf("the packages could not be laid into the script's folder: %w", err)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// save writes content to a new file.
func save(file string, content io.Reader) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}
