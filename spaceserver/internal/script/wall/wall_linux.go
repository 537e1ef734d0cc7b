package wall

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Wall is how scripts are kept apart from the server and from each other.
type Wall struct {
	kind   kind
	o      Options
	view   *os.File // the mount namespace of all scripts, where the server is root; it is gone with the server
	stage  string   // empty folder that a view of the hidden one is built on
	hidden string   // the data folder, or the folder above it that other users may not enter anyway
	last   atomic.Int64

	namespaces namespaces // where the server is root
}

type kind int

const (
	// ownNamespaces: the server is root. Scripts run as a user of their own, within one view of the files for all: of the
	// data folder there is nothing but the folder for work, and /proc shows nobody another's processes (proc(5), hidepid).
	// Each script has a process namespace to itself while it runs, and an IPC namespace of its own. A view for each script
	// would cost ten times what the script does: the kernel mounts and unmounts one at a time.
	ownNamespaces kind = iota
	// userNamespace: the server is not root. Each script has these namespaces and a view to itself in a user namespace
	// (user_namespaces(7)).
	userNamespace
	// ownUser: the server is root in a container that gives it no namespaces. Scripts run as a user of their own, whose
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
	if k == ownUser {
		root = outside(o.Data)
	}
	if err := w.build(root); err != nil {
		return nil, "", err
	}
	if err := w.hold(ctx, root); err != nil {
		if k == ownUser {
			_ = os.Remove(root) // it is of no use, and empty if it was made just now
		}
		return nil, "", err
	}
	return w, root, nil
}

// outside is the folder for scripts that cannot pass through the data folder: the same one at each start, and in a folder
// where only root makes others.
func outside(data string) string {
	sum := sha256.Sum256([]byte(data))
	return "/var/lib/odcm-work-" + hex.EncodeToString(sum[:8])
}

func (w *Wall) build(root string) (err error) {
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
		if err := os.MkdirAll(w.stage, 0o700); err != nil {
			return err
		}
		if w.kind == ownNamespaces {
			w.view, err = w.newView(root)
		}
	case ownUser:
		err = Passable(root)
	case landlocked:
		_, err = landlockVersion()
	}
	return err
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
	place, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { _ = place.Close() }() // it was only used for paths
	c := w.Cell(user, folder)
	if err := c.Own(place, filepath.Base(folder)); err != nil {
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

// Claim takes a user that no other script on this machine has. The name of an abstract socket stands for the claim: the
// kernel takes it back when the server dies (unix(7)). Where the server is not root there are no others, and 0 stands for its own.
func (w *Wall) Claim() (user int, free func(), err error) {
	if w.kind != ownNamespaces && w.kind != ownUser {
		return 0, func() {}, nil
	}
	for range users {
		id := w.o.FirstUser + int(w.last.Add(1))%users // the one that was free for longest
		socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, nil, err
		}
		switch err = unix.Bind(socket, &unix.SockaddrUnix{Name: "@odcm-script-user-" + strconv.Itoa(id)}); {
		case err == nil:
			return id, func() {
				if w.kind == ownUser {
					killUser(id)
				}
				_ = unix.Close(socket) // nothing was written to it
			}, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return 0, nil, errors.Join(err, unix.Close(socket))
		}
		_ = unix.Close(socket)
	}
	return 0, nil, fmt.Errorf("all %d users for scripts are taken: wait until others end", users)
}

// environment is the cookie, where there is no namespace.
func (c *Cell) environment() []string {
	if c.kind == ownNamespaces || c.kind == userNamespace {
		return nil
	}
	return []string{CookieName + "=" + c.cookie}
}

// limits are commands of a shell that set them. One that is lower already stays, as only root could raise it. The system's
// shell counts the size of files in blocks of 512 bytes, bash in KiB.
func (o *Options) limits(block uint64) string {
	at := func(resource int, most int64) uint64 {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return uint64(most)
		}
		return min(uint64(most), now.Max)
	}
	// The number of processes is -p for dash, which has no -u, and -u for bash, whose -p is something else.
	return fmt.Sprintf("ulimit -c 0; ulimit -n %d; ulimit -u %[2]d 2>/dev/null || ulimit -p %[2]d; ulimit -d %[3]d; ulimit -f %[4]d\n",
		at(unix.RLIMIT_NOFILE, int64(o.Files)), at(unix.RLIMIT_NPROC, int64(o.Processes)), at(unix.RLIMIT_DATA, o.Memory)/1024, at(unix.RLIMIT_FSIZE, o.Disk)/block)
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

// The wrapper is the system's shell, which starts faster than bash. It sets the limits, for which the server may have no
// right (prlimit(2) wants CAP_SYS_RESOURCE). In a user namespace it stays as the first process, for the reason that a
// [namespace] has one.
const (
	wrapped = `exec 4>&2 2>/dev/null; (exec "$@" 2>&4 4>&-); exit $?`
	plain   = `exec "$@"`
	// viewed builds the view of the data folder, as newView does where the server is root: a thread of it cannot enter a
	// user namespace.
	viewed = `set -e
stage=$1 hidden=$2; shift 2
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$stage"
while [ "$1" != -- ]; do
  if [ -d "$hidden/$1" ]; then mkdir -p "$stage/$1"; else mkdir -p "$(dirname "$stage/$1")"; : >"$stage/$1"; fi
  mount --bind "$hidden/$1" "$stage/$1"; shift
done
shift
mount --rbind "$stage" "$hidden"
mount -t proc -o nosuid,nodev,noexec proc /proc
cd "$1"; shift
set +e
set -- setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
`
)

// command is the command behind the wall, ready to start.
func (c *Cell) command(dir string, argv []string) *exec.Cmd {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if c.User != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(c.User), Gid: uint32(c.User)}
	}
	script, args := c.o.limits(512)+plain, argv
	switch c.kind {
	case ownNamespaces:
		attr.Cloneflags = syscall.CLONE_NEWIPC // the other namespaces are the thread's: see enter
		attr.Pdeathsig = 0                     // the namespace dies with the server, and in it the server is no parent
	case userNamespace:
		attr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUSER
		attr.Unshareflags = syscall.CLONE_NEWNS // which makes all mounts private before it does anything else
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		attr.Credential = &syscall.Credential{NoSetGroups: true} // without it the rights would be those outside
		script = viewed + c.o.limits(512) + wrapped
		args = append(append([]string{c.stage, c.hidden}, c.shown()...), "--", dir)
		args = append(args, argv...)
		dir = c.Folder // the other is entered in its new place
	}
	shell := append([]string{"/bin/sh", "-c", script, "sh"}, args...)
	if c.kind != userNamespace && len(argv) > 2 && filepath.IsAbs(argv[0]) && filepath.Base(argv[0]) == "bash" && argv[1] == "-c" { // which sets its limits itself
		shell = append([]string{argv[0], "-c", c.o.limits(1024) + argv[2]}, argv[3:]...)
	}
	cmd := exec.CommandContext(context.Background(), shell[0], shell[1:]...) // Run ends it, with all that it started
	cmd.Dir, cmd.SysProcAttr = dir, attr
	return cmd
}
