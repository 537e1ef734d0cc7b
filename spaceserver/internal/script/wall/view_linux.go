package wall

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// enter readies the calling thread, from which the command is started, and which has to end then: namespaces, Landlock and
// the vow to gain no rights bind a thread and what it starts, for good. leave ends what the command left when it has ended.
func (c *Cell) enter() (leave func(), err error) {
	leave = func() {}
	switch c.kind {
	case ownNamespaces:
		n, err := c.namespaces.take()
		if err != nil {
			return leave, err
		}
		leave = func() { c.namespaces.leave(n, c.User) }
		if err := unix.Unshare(unix.CLONE_FS); err != nil { // setns(2) wants it
			return leave, fmt.Errorf("view of the script: %w", err)
		}
		if err := unix.Setns(int(c.view.Fd()), unix.CLONE_NEWNS); err != nil {
			return leave, fmt.Errorf("view of the script: %w", err)
		}
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWPID); err != nil {
			return leave, fmt.Errorf("process namespace of the script: %w", err)
		}
		return leave, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // setuid programs give no rights
	case ownUser:
		return leave, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	case landlocked:
		return leave, c.landlock()
	}
	return leave, nil
}

// newView makes a mount namespace in which the hidden folder is empty but for the folder for scripts, and /proc shows a
// user no process of another. The paths stay what they are, and what the host mounts later is seen.
func (w *Wall) newView(root string) (view *os.File, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the thread ends with the goroutine
		if err = w.mount(root); err == nil {
			view, err = os.Open("/proc/thread-self/ns/mnt")
		}
	}()
	<-ended
	return view, err
}

func (w *Wall) mount(root string) error {
	shown, err := filepath.Rel(w.hidden, root)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	unix.Umask(0o022) // of this thread only, now: what is made here is to be passed through
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("mounts of its own: %w", err)
	}
	if err := unix.Mount("tmpfs", w.stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
		return fmt.Errorf("mount of %s: %w", w.stage, err)
	}
	to := filepath.Join(w.stage, shown)
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // the scripts' users have to pass
		return err
	}
	if err := unix.Mount(root, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount of %s: %w", to, err)
	}
	if err := unix.Mount(w.stage, w.hidden, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount of %s: %w", w.hidden, err)
	}
	// Before Linux 5.8 the option is not looked at here, and command lines can be seen.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "hidepid=2"); err != nil {
		return fmt.Errorf("mount of /proc: %w", err)
	}
	return nil
}
