package script

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"odcm/spaceserver/internal/script/wall"
)

// claim is the user that the scripts of a task run as, which nobody else on this machine has.
type claim struct {
	user    int
	scripts int
	free    func()
	names   map[string]bool // of what is the user's and stays when the scripts have ended, below the root
}

// user is the user for scripts in a folder: one for all that run in the folders of a task, because they share files.
// Another task never has it at the same time.
func (l *Local) user(folder string) (c *claim, release func(), err error) {
	task := taskFolder(folder)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c = l.users[task]; c == nil {
		c = &claim{names: map[string]bool{}}
		if c.user, c.free, err = l.wall.Claim(); err != nil {
			return nil, nil, err
		}
		if l.users == nil {
			l.users = map[string]*claim{}
		}
		l.users[task] = c
	}
	c.scripts++
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.scripts--; c.scripts == 0 {
			delete(l.users, task)
			l.disown(c)
			c.free()
		}
	}, nil
}

// disown takes back what stays.
func (l *Local) disown(c *claim) {
	if len(c.names) == 0 || c.user == 0 {
		return
	}
	if root, err := os.OpenRoot(l.root); err == nil {
		l.wall.Disown(root, slices.Collect(maps.Keys(c.names))...)
		_ = root.Close() // it was only used for paths
	}
}

// own gives what is below the root to the task's user.
func (l *Local) own(c *claim, cell *wall.Cell, root *os.Root, names ...string) error {
	l.mu.Lock()
	for _, name := range names {
		c.names[name] = true
	}
	l.mu.Unlock()
	return cell.Own(root, names...)
}

// taskFolder is the folder of the task that a script's folder belongs to: its first, below Work where that is in front
// (Octopus has all work of a target in ~/.octopus/Work).
func taskFolder(folder string) string {
	first, rest, _ := strings.Cut(filepath.ToSlash(filepath.Clean(folder)), "/")
	if first == "Work" && rest != "" {
		second, _, _ := strings.Cut(rest, "/")
		return filepath.Join(first, second)
	}
	return first
}
