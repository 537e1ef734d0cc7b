package pack

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"odcm/spaceserver/internal/problem"
)

const (
	longestName  = 4096     // PATH_MAX of Linux
	longestNames = 32 << 20 // bytes of all names together, which are kept in memory
	ratioFrom    = 100 << 20
)

// extraction is one archive on its way onto a disk. All paths go through an [os.Root], which no name and no link can leave;
// what is checked beforehand keeps those out that read the folder later without one.
type extraction struct {
	context context.Context
	root    *os.Root
	limits  Limits
	packed  int64 // size of the archive
	entries int
	names   int             // bytes
	made    string          // the folder that was made last: most entries are beside the one before
	links   map[string]bool // symbolic links
	files   map[string]bool // regular files that hard links may name
	done    Summary
}

// entry is one thing in an archive. Names have slashes.
type entry struct {
	name     string
	mode     fs.FileMode
	modified time.Time
	link     string // target of a link
	hard     bool   // a hard link: link is a name in the archive
	content  io.Reader
}

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// place checks a name: a path below the folder, without the doubt that backslashes (archives made on Windows have them as
// separators), drive letters or bytes of no text bring.
func place(name string) (string, error) {
	clean := strings.ReplaceAll(name, `\`, "/")
	switch {
	case len(name) > longestName:
		return "", problem.Invalid("The package has an entry with a name of more than 4,096 characters.")
	case strings.ContainsRune(clean, 0):
		return "", problem.Invalid("The package has an entry with a name that is none.")
	case strings.HasPrefix(clean, "/"), drive.MatchString(clean):
		return "", problem.Invalid("The package has the entry '" + shown(name) + "', whose name is absolute: it would leave the folder.")
	}
	for part := range strings.SplitSeq(clean, "/") {
		if part == ".." {
			return "", problem.Invalid("The package has the entry '" + shown(name) + "', which would leave the folder.")
		}
	}
	clean = path.Clean(clean)
	if clean != "." && !filepath.IsLocal(filepath.FromSlash(clean)) { // names that Windows reserves
		return "", problem.Invalid("The package has the entry '" + shown(name) + "', whose name no file can have.")
	}
	return clean, nil
}

// shown is a name as it may stand in a sentence.
func shown(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	return clean[:min(len(clean), 200)]
}

// reaches checks the target of a symbolic link at a place: relative, climbing only at its start, and no higher than the
// folder. As nothing is ever put below a link, no chain of such links leads out either.
func reaches(at, target string) bool {
	target = strings.ReplaceAll(target, `\`, "/")
	if target == "" || len(target) > longestName || strings.HasPrefix(target, "/") || drive.MatchString(target) || strings.ContainsRune(target, 0) {
		return false
	}
	depth, down := strings.Count(at, "/"), false
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "." || part == "":
		case part != "..":
			down = true
		case down || depth == 0:
			return false
		default:
			depth--
		}
	}
	return true
}

func (x *extraction) add(e entry) error {
	if err := x.context.Err(); err != nil {
		return err
	}
	x.entries++
	x.names += len(e.name) + len(e.link)
	if x.entries > x.limits.Files || x.names > longestNames {
		return problem.Invalid("The package holds too many files.")
	}
	at, err := place(e.name)
	if err != nil {
		return err
	}
	if e.mode.IsDir() {
		return x.folder(at)
	}
	if at == "." || strings.HasSuffix(e.name, "/") {
		return problem.Invalid("The package has a file whose name is a folder's: '" + shown(e.name) + "'.")
	}
	if err := x.folder(path.Dir(at)); err != nil {
		return err
	}
	if _, err := x.root.Lstat(at); err == nil {
		return problem.Invalid("The package holds '" + shown(e.name) + "' twice.")
	}
	switch {
	case e.hard:
		err = x.hardLink(at, e)
	case e.mode&fs.ModeSymlink != 0:
		if !reaches(at, e.link) {
			return problem.Invalid("The package has the link '" + shown(e.name) + "', which points out of the folder.")
		}
		x.links[at] = true
		err = x.root.Symlink(strings.ReplaceAll(e.link, `\`, "/"), at)
	case !e.mode.IsRegular():
		return problem.Invalid("The package has the entry '" + shown(e.name) + "', which is neither a file nor a folder nor a link.")
	default:
		err = x.file(at, e)
	}
	if err == nil {
		x.done.Files++
	}
	return err
}

// folder makes a folder and those above it. None may be a link: what comes into it would be somewhere else.
func (x *extraction) folder(at string) error {
	if at == "." || at == x.made {
		return nil
	}
	if len(x.links) > 0 {
		for up := at; up != "."; up = path.Dir(up) {
			if x.links[up] {
				return problem.Invalid("The package puts something behind its link '" + shown(up) + "'.")
			}
		}
	}
	if err := x.root.MkdirAll(at, 0o755); err != nil {
		return err
	}
	x.made = at
	return nil
}

func (x *extraction) hardLink(at string, e entry) error {
	from, err := place(e.link)
	if err != nil || !x.files[from] {
		return problem.Invalid("The package has the link '" + shown(e.name) + "' to something that is no file of it.")
	}
	x.files[at] = true
	return x.root.Link(from, at)
}

// file writes a file, executable where it was. Other bits, and who owned it, mean nothing here. It must not be there: a disk
// that ignores case would have one file for two names.
func (x *extraction) file(at string, e entry) error {
	mode := fs.FileMode(0o644)
	if e.mode&0o111 != 0 {
		mode = 0o755
	}
	file, err := x.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, &bounded{x, e.content})
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && e.modified.Unix() > 0 && e.modified.Before(time.Now()) {
		err = x.root.Chtimes(at, e.modified, e.modified)
	}
	x.files[at] = true
	return err
}

// bounded counts what comes out of an archive, whatever its headers say.
type bounded struct {
	x       *extraction
	content io.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.x.context.Err(); err != nil {
		return 0, err
	}
	n, err := b.content.Read(p)
	b.x.done.Bytes += int64(n)
	if over := b.x.over(b.x.done.Bytes); over != nil {
		return 0, over
	}
	return n, err
}

func (x *extraction) over(bytes int64) error {
	switch {
	case bytes > x.limits.Bytes:
		return problem.Invalid("The package holds more than may be extracted.")
	case bytes > ratioFrom && bytes/x.limits.Ratio > x.packed:
		return problem.Invalid("The package unpacks to far more than its size: it is made to fill a disk.")
	}
	return nil
}
