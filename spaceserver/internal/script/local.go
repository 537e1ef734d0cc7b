package script

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/script/wall"
)

// LocalOptions say where and within which limits scripts run on the server. Data is required.
type LocalOptions struct {
	// Data is the server's data folder. Scripts work in Data/work, and see nothing else of it. Where users other than root
	// cannot get there, they work in a folder below /var/lib.
	Data string
	// Output is how many bytes of one script's output are passed on; 20 MiB if 0.
	Output int64
	// Disk is how many bytes a script may have in its folder, and in any one file; 20 GiB if 0.
	Disk int64
	// Memory is how many bytes of data each process of a script may have; 4 GiB if 0.
	Memory int64
	// Processes and Files are how many processes a script may have, and how many files each may open; 1024 and 4096 if 0.
	Processes, Files int
	// FirstUser is the first of a thousand user ids that are nobody's: on a server that runs as root each script has one
	// of its own while it runs. 52000 if 0, which Debian and systemd leave free.
	FirstUser int
}

// Local runs scripts on the server itself, each apart from the server, from its data and from the others: in namespaces
// of its own where the kernel lets it, as its task's own user where the server is root.
type Local struct {
	o    LocalOptions
	root string

	preparing sync.Mutex
	wall      *wall.Wall // nil until it is chosen

	notes *os.File // folder with a note for each script that runs; locked as long as this lives

	mu    sync.Mutex
	users map[string]*claim // of the tasks that run scripts now
}

// NewLocal makes the place. Nothing is touched before the first script.
func NewLocal(o LocalOptions) *Local {
	o.Output = cmp.Or(o.Output, mostOutput)
	o.Disk = cmp.Or(o.Disk, 20<<30)
	o.Memory = cmp.Or(o.Memory, 4<<30)
	o.Processes, o.Files = cmp.Or(o.Processes, 1024), cmp.Or(o.Files, 4096)
	o.FirstUser = cmp.Or(o.FirstUser, 52000)
	return &Local{o: o}
}

// ready makes the folders, tries which walls this host allows, and removes what a server that was killed left behind.
func (l *Local) ready(ctx context.Context) error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if l.wall != nil {
		return nil
	}
	if err := os.MkdirAll(l.o.Data, 0o700); err != nil {
		return fmt.Errorf("folder for scripts: %w", err)
	}
	data, err := filepath.EvalSymlinks(l.o.Data)
	if err == nil {
		data, err = filepath.Abs(data)
	}
	if err != nil {
		return fmt.Errorf("folder for scripts: %w", err)
	}
	l.o.Data = data
	root := filepath.Join(data, "work")
	if err := wall.Passable(root); err != nil {
		return fmt.Errorf("folder for scripts: %w", err)
	}
	chosen, root, err := wall.Choose(context.WithoutCancel(ctx), l.limits(), root)
	if err != nil {
		return err
	}
	sweep(root)
	if l.notes, err = newNotes(root); err != nil {
		return fmt.Errorf("folder for scripts: %w", err)
	}
	l.wall, l.root = chosen, root
	return nil
}

func (l *Local) limits() wall.Options {
	return wall.Options{Data: l.o.Data, Disk: l.o.Disk, Memory: l.o.Memory, Processes: l.o.Processes, Files: l.o.Files, FirstUser: l.o.FirstUser}
}

// Root is Data/work.
func (l *Local) Root(ctx context.Context) (string, error) {
	err := l.ready(ctx) // which decides it
	return l.root, err
}

// Close does nothing: there is no connection.
func (l *Local) Close() error { return nil }

// Check tells what runs scripts here.
func (l *Local) Check(ctx context.Context, say func(text string)) error {
	if err := l.ready(ctx); err != nil {
		return err
	}
	say("Scripts run on this server, " + l.wall.Describe(0) + ".")
	var there []string
	for _, program := range []string{"bash", "pwsh", "python3"} {
		if _, err := wall.Find(program); err == nil {
			there = append(there, program)
		}
	}
	say("Found: " + strings.Join(there, ", ") + ".")
	if _, err := wall.Find("bash"); err != nil {
		return missing("bash")
	}
	return nil
}

func missing(program string) error {
	name := map[string]string{"bash": "Bash", "pwsh": "PowerShell", "python3": "Python 3"}[program]
	return problem.New(422, "%s is not installed on the Space server: there is no '%s' in %s. Install it there, or run the script on a target that has it.", name, program, wall.Programs)
}

// Upload lays a file below the root. What a script planted there leads nowhere else. Of the mode counts what it gives the
// owner: the users of all scripts can pass through the folders.
func (l *Local) Upload(ctx context.Context, name string, mode uint32, content io.Reader) (string, error) {
	if err := l.ready(ctx); err != nil {
		return "", err
	}
	relative, err := l.below(name)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(l.root)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }() // it was only used for paths
	return filepath.Join(l.root, relative), put(root, relative, mode&0o700, content)
}

// below is the path from the root to a path of the place.
func (l *Local) below(name string) (string, error) {
	relative := filepath.FromSlash(name)
	if filepath.IsAbs(relative) {
		var err error
		if relative, err = filepath.Rel(l.root, relative); err != nil {
			return "", err
		}
	}
	if !filepath.IsLocal(relative) {
		return "", problem.Invalid("'" + name + "' lies outside of the Space server's working folder: only a script can write there.")
	}
	return relative, nil
}

// put writes a file of the folder anew, with the folders that it is in.
func put(root *os.Root, name string, mode uint32, content io.Reader) error {
	perm := fs.FileMode(mode).Perm()
	var file *os.File
	err := within(root, name, func() (err error) {
		file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, fs.ErrExist) {
			if err = root.Remove(name); err == nil {
				file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if info, failed := file.Stat(); err == nil && (failed != nil || info.Mode().Perm() != perm) {
		err = file.Chmod(perm) // which the server's umask had narrowed
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = root.Remove(name) // half a file is worse than none
	}
	return err
}

// within makes something in folders that are made where they are missing, and again when another step that ended has just
// removed them because nothing was in them yet.
func within(root *os.Root, name string, create func() error) error {
	err := create()
	for again := 0; again < 100 && errors.Is(err, fs.ErrNotExist); again++ {
		if dir := filepath.Dir(name); dir != "." {
			if err := root.MkdirAll(dir, 0o711); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		err = create()
	}
	return err
}

// Run runs a script in its folder. Its processes are gone when it returns.
func (l *Local) Run(ctx context.Context, w Work, out Output) error {
	started, err := newLaunch(w)
	if err != nil {
		return err
	}
	if err := l.ready(ctx); err != nil {
		return err
	}
	program, err := wall.Find(started.program)
	if err != nil {
		return missing(started.program)
	}
	if w.Folder == "" {
		w.Folder = "run-" + rand.Text()
	}
	owner, release, err := l.user(w.Folder)
	if err != nil {
		return err
	}
	defer release()
	run, err := l.lay(w, started, owner)
	if err != nil {
		return err
	}
	defer run.remove()
	out.Message("stdout-verbose", map[string]string{})
	out.Line(false, "Runs on the Space server in "+run.folder+", "+l.wall.Describe(owner.user)+".")
	out.Message("stdout-default", map[string]string{})
	s := newScreen(out, l.o.Output)
	defer s.end()
	err = run.execute(ctx, wall.Command{Args: append([]string{program}, started.args...), Stdin: strings.NewReader(started.feed),
		Stdout: func(r io.Reader) error { return s.copy(r, false) }, Stderr: func(r io.Reader) error { return s.copy(r, true) }})
	if ctx.Err() != nil {
		return err
	}
	for _, a := range s.given() {
		run.give(ctx, a, out)
	}
	return err
}

// run is one script's folder and what is in it.
type run struct {
	local  *Local
	cell   *wall.Cell
	folder string   // absolute
	dir    string   // where it starts
	laid   []string // below folder, removed in any case
	keep   bool
	note   string // that it runs
}

// lay makes the folder with all that the script needs, owned by the script's user.
func (l *Local) lay(w Work, launched *launch, owner *claim) (r *run, err error) {
	relative, err := l.below(w.Folder)
	if err != nil || relative == "." {
		return nil, cmp.Or(err, error(problem.Invalid("The folder of a script must lie below the working folder.")))
	}
	root, err := os.OpenRoot(l.root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was only used for paths
	r = &run{local: l, folder: filepath.Join(l.root, relative), keep: w.Keep}
	r.dir, r.cell = r.folder, l.wall.Cell(owner.user, r.folder)
	defer func() {
		if err != nil {
			r.remove()
		}
	}()
	if !w.Keep {
		r.note = filepath.Join(l.notes.Name(), rand.Text())
		if err := os.Symlink(relative, r.note); err != nil {
			return r, err
		}
	}
	if err := folder(root, relative, r.cell); err != nil {
		return r, err
	}
	inside, err := root.OpenRoot(relative)
	if err != nil {
		return r, err
	}
	defer func() { _ = inside.Close() }()
	if w.Keep { // or what the script has for a moment would stay
		if err := inside.Mkdir(".tmp", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return r, err
		}
	}
	for _, file := range w.Files {
		if err := r.file(inside, file); err != nil {
			return r, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(launched.files)) {
		r.laid = append(r.laid, name)
		if err := put(inside, name, 0o644, strings.NewReader(launched.files[name])); err != nil { // the server's, in a folder of the user's only
			return r, err
		}
	}
	var stay []string
	if w.Keep {
		stay = append(stay, relative)
	}
	for i, extra := range append([]string{w.WorkingDir}, w.Reads...) {
		if extra == "" {
			continue
		}
		full := extra
		if below, err := l.below(extra); err == nil {
			full = filepath.Join(l.root, below)
			if real, err := filepath.EvalSymlinks(full); err != nil || real != full { // which a script may have planted
				return r, cmp.Or(err, error(problem.Invalid("The folder '"+extra+"' leads elsewhere: it cannot be used.")))
			}
			stay, r.cell.Visible = append(stay, below), append(r.cell.Visible, full)
		} else if !filepath.IsAbs(extra) {
			return r, err
		}
		if i == 0 {
			r.dir = full
		}
	}
	if len(w.Files) > 0 {
		stay = append(stay, relative)
	}
	return r, l.own(owner, r.cell, root, stay...)
}

// folder makes the folder of a script, in the folder of its task, which only the task's user may enter.
func folder(root *os.Root, name string, cell *wall.Cell) error {
	err := within(root, name, func() error { return root.Mkdir(name, 0o700) })
	if errors.Is(err, fs.ErrExist) { // kept, and given away by a script that ran before
		err = cell.Own(root, name)
	} else if err == nil {
		err = cell.Have(root, name)
	}
	if task := taskFolder(name); task != name && err == nil {
		err = cell.Enclose(root, task) // now that it cannot be removed any more
	}
	return err
}

func (r *run) file(inside *os.Root, f File) error {
	name := filepath.FromSlash(path.Clean(f.Name))
	if !filepath.IsLocal(name) {
		return problem.Invalid("'" + f.Name + "' is no name of a file within the script's folder.")
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	return put(inside, name, cmp.Or(f.Mode, 0o600), content)
}

// remove takes away what the run must not leave.
func (r *run) remove() {
	if r.keep {
		if inside, err := os.OpenRoot(r.folder); err == nil {
			for _, name := range r.laid {
				_ = inside.Remove(name) // the script may have done so itself
			}
			_ = inside.RemoveAll(".tmp")
			_ = inside.Close()
		}
		return
	}
	for _, name := range r.laid {
		_ = os.Remove(filepath.Join(r.folder, name)) // most scripts leave nothing else
	}
	err := os.Remove(r.folder)
	if err != nil {
		err = os.RemoveAll(r.folder)
	}
	if err == nil {
		_ = os.Remove(r.note) // one that stays makes the next start look again
	}
	for dir := filepath.Dir(r.folder); dir != r.local.root && len(dir) > len(r.local.root); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil { // not empty: another step's
			break
		}
	}
}

func (r *run) temporary() string {
	if r.keep {
		return filepath.Join(r.folder, ".tmp")
	}
	return r.folder
}

// environment is all that the script gets to see of one. Without SHELL bash would search for it among the host's users,
// which takes it as long as all else, and not find the script's.
func (r *run) environment() []string {
	return []string{"PATH=" + wall.Programs + ":" + r.folder, "SHELL=/bin/sh", "HOME=" + r.folder, "TMPDIR=" + r.temporary(), "OctopusFolder=" + r.folder,
		"LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "POWERSHELL_TELEMETRY_OPTOUT=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1"}
}

// execute runs a command as the script's.
func (r *run) execute(ctx context.Context, c wall.Command) error {
	c.Dir, c.Env = r.dir, r.environment()
	err := r.cell.Run(ctx, c)
	var exit *wall.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Code: exit.Code}
	}
	return err
}

// give reads an artifact as the script's user would, within the same walls, so that a script can give away only what it
// can read itself, whatever path it names.
func (r *run) give(ctx context.Context, a artifact, out Output) {
	file := a.path
	if !filepath.IsAbs(file) {
		file = filepath.Join(r.dir, file)
	}
	pipe, into := io.Pipe()
	var said strings.Builder
	go func() {
		err := r.execute(ctx, wall.Command{Args: []string{"cat", "--", file}, Stdin: strings.NewReader(""), Stdout: func(from io.Reader) error {
			_, err := io.Copy(into, from)
			return err
		}, Stderr: func(from io.Reader) error {
			_, err := io.Copy(&said, io.LimitReader(from, 1<<10))
			_, _ = io.Copy(io.Discard, from) // it must not wait for its reader
			return err
		}})
		var exit *ExitError
		if errors.As(err, &exit) {
			err = errors.New(strings.TrimPrefix(strings.TrimSpace(said.String()), "cat: "))
		}
		_ = into.CloseWithError(err) // never fails
	}()
	if err := out.Artifact(cmp.Or(a.name, filepath.Base(file)), pipe); err != nil {
		out.Line(true, "The artifact '"+cmp.Or(a.name, filepath.Base(file))+"' was not kept: "+err.Error())
	}
	_ = pipe.CloseWithError(errors.New("the artifact is not wanted any more"))
}
