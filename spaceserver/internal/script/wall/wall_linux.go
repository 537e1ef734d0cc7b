package wall

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Wall is how scripts are kept apart from the server and from each other.
type Wall struct {
	kind   kind
	o      Options
	stage  string // empty folder that a script's view of the hidden one is built on
	hidden string // the data folder, or the folder above it that other users may not enter anyway
}

type kind int

const (
	// ownNamespaces: the server is root. Each script has a process, a mount and an IPC namespace: the data folder is empty
	// but for what is its own, /proc shows its own processes, and all of them die with the first one (pid_namespaces(7)).
	// It runs as a user of its own.
	ownNamespaces kind = iota
	// userNamespace: the same in a user namespace, where the server is not root (user_namespaces(7)).
	userNamespace
	// ownUser: the server is root in a container that gives it no namespaces. Each script has a user of its own, whose
	// processes are killed all at once when its last script has ended; the folder is outside of the data folder, which only the server may enter.
	ownUser
	// landlocked: the server is an ordinary user without namespaces. Landlock keeps scripts out of the data folder, and from
	// looking into other processes (landlock(7)).
	landlocked
	// bare: nothing is possible but to remember what was started.
	bare
)

// Choose finds the first wall that this host allows, by running a command behind each, and the folder for scripts: root, or
// another where scripts could not enter that.
func Choose(ctx context.Context, o Options, root string) (*Wall, string, error) {
	kinds := []kind{userNamespace, landlocked, bare}
	if os.Geteuid() == 0 {
		kinds = []kind{ownNamespaces, ownUser, bare}
	}
	// A disk that is full is no reason to take a lower wall.
	try, err := os.MkdirTemp(root, "try-")
	if err != nil {
		return nil, root, fmt.Errorf("scripts cannot be run on this server now: %w", full(err))
	}
	_ = os.Remove(try) // an empty folder hinders nobody
	for _, k := range kinds {
		var w *Wall
		var place string
		if w, place, err = raise(ctx, k, o, root); err == nil {
			return w, place, nil
		}
	}
	return nil, root, fmt.Errorf("scripts cannot be run on this server: %w", err)
}

// raise builds a wall and tries it.
func raise(ctx context.Context, k kind, o Options, root string) (*Wall, string, error) {
	w := &Wall{kind: k, o: o, stage: filepath.Join(root, ".stage")}
	if err := w.build(&root); err != nil {
		return nil, "", err
	}
	err := w.hold(ctx, root)
	if err != nil && k == ownUser {
		_ = os.RemoveAll(root) // it was made for this
	}
	return w, root, err
}

func (w *Wall) build(place *string) error {
	switch w.kind {
	case ownNamespaces, userNamespace:
		w.hidden = w.o.Data
		for dir := w.o.Data; w.kind == ownNamespaces && dir != "/"; dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			if err != nil {
				return err
			}
			if info.Mode()&0o001 == 0 {
				w.hidden = dir
			}
		}
		return os.MkdirAll(w.stage, 0o700)
	case ownUser:
		dir, err := os.MkdirTemp("", "odcm-work-") // scripts cannot pass through the data folder
		if err != nil {
			return err
		}
		*place = dir
		return os.Chmod(dir, 0o711)
	case landlocked:
		if _, err := landlockVersion(); err != nil {
			return err
		}
	}
	return nil
}

// hold runs the smallest script in a folder of its own.
func (w *Wall) hold(ctx context.Context, root string) error {
	user, free, err := w.Claim()
	if err != nil {
		return err
	}
	defer free()
	folder, err := os.MkdirTemp(root, "try-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // an empty folder hinders nobody
	c := w.Cell(user, folder)
	if err := c.Own(folder); err != nil {
		return err
	}
	ignore := func(from io.Reader) error { _, err := io.Copy(io.Discard, from); return err }
	return c.Run(ctx, Command{Args: []string{"bash", "-c", "cd -- " + "\"$1\" && : >here", "bash", folder}, Dir: folder, Stdin: strings.NewReader(""), Stdout: ignore, Stderr: ignore})
}

// Describe says for the task's log what keeps a script apart; user 0 is any.
func (w *Wall) Describe(user int) string {
	as := "a user of its own"
	if user != 0 {
		as = "user " + strconv.Itoa(user)
	}
	switch w.kind {
	case ownNamespaces:
		return "in namespaces of its own as " + as
	case userNamespace:
		return "in a user namespace of its own"
	case ownUser:
		return "as " + as + " without namespaces, which this host does not allow"
	case landlocked:
		return "as the server's user, kept out of its data by Landlock"
	}
	return "as the server's user without any isolation, which this host does not allow"
}

// Cell is the room for one script.
type Cell struct {
	*Wall
	User    int      // 0: the server's own
	Folder  string   // the script's
	Visible []string // what else of the data folder it may see
	cookie  string   // in the environment of all that it starts, where there is no better way to know them
}

// users is how many scripts can have a user of their own at a time.
const users = 1000

// Cell is the room for a script in a folder.
func (w *Wall) Cell(user int, folder string) *Cell {
	return &Cell{Wall: w, User: user, Folder: folder, cookie: rand.Text()}
}

// Claim takes a user that no other script on this machine has. An abstract socket stands for the claim: the kernel takes
// it back when the server dies (unix(7)). Where the server is not root there are no others, and 0 stands for its own.
func (w *Wall) Claim() (user int, free func(), err error) {
	if w.kind != ownNamespaces && w.kind != ownUser {
		return 0, func() {}, nil
	}
	for id := w.o.FirstUser; id < w.o.FirstUser+users; id++ {
		socket, err := new(net.ListenConfig).Listen(context.Background(), "unix", "@odcm-script-user-"+strconv.Itoa(id))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		return id, func() {
			if w.kind == ownUser {
				killUser(id)
			}
			_ = socket.Close() // nothing was written to it
		}, nil
	}
	return 0, nil, fmt.Errorf("all %d users for scripts are taken: wait until others end", users)
}

// Own gives folders and files to the script's user.
func (c *Cell) Own(paths ...string) error {
	if c.User == 0 {
		return nil
	}
	for _, path := range paths {
		if err := give(path, c.User); err != nil {
			return fmt.Errorf("folder of the script: %w", err)
		}
	}
	return nil
}

// Disown takes folders and files back from a user who is to be another's, where nothing else hides them.
func (w *Wall) Disown(paths ...string) {
	if w.kind != ownUser {
		return
	}
	for _, path := range paths {
		_ = give(path, 0) // most are gone
	}
}

// give makes a user the owner of a tree. Another script of the task may be changing it at the same time: nothing is followed
// out of it.
func give(path string, user int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	name := "."
	if !info.IsDir() {
		path, name = filepath.Dir(path), filepath.Base(path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only used for paths
	return fs.WalkDir(root.FS(), name, func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			if info, err := entry.Info(); err == nil && owner(info) == user {
				return nil
			}
			err = root.Lchown(name, user, user)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		return err
	})
}

func (c *Cell) ownPipe(f *os.File) error {
	if c.User == 0 {
		return nil
	}
	return f.Chown(c.User, c.User)
}

// environment is what the wrapper needs to know of the limits, and the cookie where there is no namespace.
func (c *Cell) environment() []string {
	number := func(name string, n int64) string { return name + "=" + strconv.FormatInt(n, 10) }
	e := []string{number("OctopusFiles", int64(c.o.Files)), number("OctopusProcesses", int64(c.o.Processes)),
		number("OctopusMemory", c.o.Memory/1024), number("OctopusFileSize", c.o.Disk/1024)}
	if c.kind != ownNamespaces && c.kind != userNamespace {
		e = append(e, CookieName+"="+c.cookie)
	}
	return e
}

// shown is what a script may see of the hidden folder, as paths within that.
func (c *Cell) shown() (paths []string) {
	for _, path := range append([]string{c.Folder}, c.Visible...) {
		if relative, err := filepath.Rel(c.hidden, path); err == nil && filepath.IsLocal(relative) {
			paths = append(paths, relative)
		}
	}
	return paths
}

// The wrapper is bash: it sets the limits, gives up its rights for the command, and stays as the first process of the
// namespace, which collects what the command orphans.
const (
	// viewed builds the view of the data folder, as view does where the server is root: a thread of it cannot enter a user
	// namespace.
	viewed = `set -e
stage=$1 hidden=$2; shift 2
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$stage"
while [ "$1" != -- ]; do
  if [ -d "$hidden/$1" ]; then mkdir -p "$stage/$1"; else mkdir -p "$(dirname "$stage/$1")"; : >"$stage/$1"; fi
  mount --bind "$hidden/$1" "$stage/$1"; shift
done
shift
mount --rbind "$stage" "$hidden"
`
	namespaced = `set -e
mount -t proc -o nosuid,nodev,noexec proc /proc
cd "$1"; shift
` + limits + `
set +e
setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@" 3<&0 </dev/null
exit $?`
	plain  = limits + "\nexec \"$@\" 3<&0 </dev/null"
	limits = `l() { [ "$2" = 0 ] || ulimit "$1" "$2" 2>/dev/null || ulimit -S "$1" "$(ulimit -H "$1")" 2>/dev/null || :; }
ulimit -c 0; l -n "$OctopusFiles"; l -u "$OctopusProcesses"; l -d "$OctopusMemory"; l -f "$OctopusFileSize"
unset OctopusFiles OctopusProcesses OctopusMemory OctopusFileSize; unset -f l`
)

// command is the command behind the wall, ready to start.
func (c *Cell) command(dir string, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "/bin/bash") // Run ends it, with all that it started
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = c.Folder
	switch c.kind {
	case ownNamespaces:
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC // the mount namespace is the thread's: see view
		user := strconv.Itoa(c.User)
		cmd.Dir = "/" // the folder is entered in its new place
		cmd.Args = append([]string{"bash", "-c", namespaced, "bash", dir, "--reuid", user, "--regid", user, "--clear-groups", "--"}, argv...)
		return cmd
	case userNamespace:
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUSER
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS // which makes all mounts private before it does anything else
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true} // without it the rights would be those outside
		cmd.Args = []string{"bash", "-c", viewed + namespaced, "bash", c.stage, c.hidden}
		cmd.Args = append(cmd.Args, c.shown()...)
		cmd.Args = append(append(cmd.Args, "--", dir, "--"), argv...)
		return cmd
	case ownUser:
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.User), Gid: uint32(c.User)}
	}
	cmd.Dir = dir
	cmd.Args = append([]string{"bash", "-c", plain, "bash"}, argv...)
	return cmd
}
