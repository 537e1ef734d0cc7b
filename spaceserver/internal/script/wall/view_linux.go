package wall

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enter readies the calling thread, which is locked and from which the command is started, and tells whether it may be
// used for other things afterwards: namespaces and Landlock bind a thread and what it starts, for good.
func (c *Cell) enter() (reusable bool, err error) {
	switch c.kind {
	case ownNamespaces:
		return false, c.view()
	case landlocked:
		return false, c.landlock()
	}
	return true, nil
}

// view gives the thread a mount namespace in which the hidden folder is empty but for what the script may see. The paths
// stay what they are.
func (c *Cell) view() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	unix.Umask(0o022) // of this thread only, now: what is made here is to be passed through
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", c.stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
		return fmt.Errorf("mount of %s: %w", c.stage, err)
	}
	for _, path := range c.shown() {
		if err := show(filepath.Join(c.hidden, path), filepath.Join(c.stage, path)); err != nil {
			return err
		}
	}
	if err := unix.Mount(c.stage, c.hidden, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount of %s: %w", c.hidden, err)
	}
	return nil
}

// show binds a folder or file to a place that is made for it.
func show(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	dir := to
	if !info.IsDir() {
		dir = filepath.Dir(to)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the script's user has to pass
		return err
	}
	if !info.IsDir() {
		if err := os.WriteFile(to, nil, 0o600); err != nil {
			return err
		}
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount of %s: %w", to, err)
	}
	return nil
}
