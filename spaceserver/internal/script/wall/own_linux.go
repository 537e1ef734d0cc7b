package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Own gives folders and files of the place to the script's user, and closes them to the users of other scripts. Another
// script of the task may be changing them at the same time: nothing is followed out of them.
func (c *Cell) Own(place *os.Root, names ...string) error {
	if c.User == 0 {
		return nil
	}
	for _, name := range names {
		err := give(place, name, c.User)
		if err == nil {
			err = shut(place, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("folder of the script: %w", err)
		}
	}
	return nil
}

// Have gives one new folder to the script's user.
func (c *Cell) Have(place *os.Root, name string) error {
	if c.User == 0 {
		return nil
	}
	return place.Lchown(name, c.User, c.User)
}

// Disown takes folders and files back from a user who is to be another's. What is in a folder that nobody else may enter
// can stay as it is.
func (w *Wall) Disown(place *os.Root, names ...string) {
	for _, name := range names {
		if place.Lchown(name, 0, 0) == nil { // most are gone
			_ = shut(place, name)
		}
	}
}

// Enclose lets only the script's user into a folder that stays the server's: whatever the user opens to others in it,
// they do not get there.
func (c *Cell) Enclose(place *os.Root, name string) error {
	if c.User == 0 {
		return nil
	}
	info, err := place.Lstat(name)
	if err == nil && info.Mode().Perm() != 0o710 {
		err = place.Chmod(name, 0o710)
	}
	if err == nil && (owner(info) != 0 || group(info) != c.User) {
		err = place.Lchown(name, 0, c.User)
	}
	return err
}

// shut leaves rights to the owner only.
func shut(place *os.Root, name string) error {
	info, err := place.Lstat(name)
	if err != nil || info.Mode()&0o077 == 0 || info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return place.Chmod(name, info.Mode().Perm()&0o700)
}

// give makes a user the owner of a tree.
func give(place *os.Root, name string, user int) error {
	info, err := place.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return place.Lchown(name, user, user)
	}
	tree, err := place.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }() // it was only used for paths
	return fs.WalkDir(tree.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			if info, err := entry.Info(); err == nil && owner(info) == user {
				return nil
			}
			err = tree.Lchown(name, user, user)
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

// owner is the user that a file belongs to.
func owner(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

func group(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return -1
}
