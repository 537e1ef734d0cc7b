package wall

import (
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlockVersion is the version of Landlock that the kernel speaks.
func landlockVersion() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil
}

// landlock allows everything but the data folder without the scripts' own: Landlock knows only what is allowed, so on the
// way to the data folder each other entry is.
func (c *Cell) landlock() error {
	version, err := landlockVersion()
	if err != nil {
		return err
	}
	rights := uint64(unix.LANDLOCK_ACCESS_FS_REFER<<1 - 1) // all of version 2
	if version < 2 {
		rights = unix.LANDLOCK_ACCESS_FS_REFER - 1
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0) //nolint:gosec // there is no other way to call it
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(fd)) }()
	allow := func(path string) {
		parent, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return // gone, or not to be entered anyway
		}
		defer func() { _ = unix.Close(parent) }()
		allowed := rights
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			allowed &= unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: allowed, Parent_fd: int32(parent)}
		_, _, _ = unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // as above
	}
	for hidden := c.o.Data; hidden != "/"; hidden = filepath.Dir(hidden) {
		siblings, _ := os.ReadDir(filepath.Dir(hidden)) // what cannot be listed is not allowed
		for _, s := range siblings {
			if path := filepath.Join(filepath.Dir(hidden), s.Name()); path != hidden {
				allow(path)
			}
		}
	}
	for _, path := range append([]string{c.Folder}, c.Visible...) {
		allow(path)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
