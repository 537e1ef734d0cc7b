package host

import (
	"context"
	"crypto/sha1" //nolint:gosec // the hash that Octopus tells of packages
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Folder keeps uploaded content beside the database: packages and artifacts may be large, and rows are for small things.
type Folder struct{ Dir string }

// Received is content that arrived and has no place yet.
type Received struct {
	Path string
	Size int64
	Hash string // SHA-1, lower case
}

// Receive writes content to a temporary file of the folder. A reader that fails leaves nothing behind.
func (f Folder) Receive(write func(w io.Writer) error) (r Received, err error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return r, err
	}
	file, err := os.CreateTemp(f.Dir, ".incoming-*")
	if err != nil {
		return r, err
	}
	r.Path = file.Name()
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = problem.New(507, "The server's disk is full: nothing was changed. Please tell your administrator.").Because(err)
		}
		if err != nil {
			r.Discard()
		}
	}()
	hash := sha1.New() //nolint:gosec // see above
	counted := &counter{}
	if err := write(io.MultiWriter(file, hash, counted)); err != nil {
		return r, err
	}
	r.Size, r.Hash = counted.n, hex.EncodeToString(hash.Sum(nil))
	return r, file.Sync()
}

// Keep gives the content its name. Names are made by this package: they hold no separators but those that are meant.
func (f Folder) Keep(r Received, name string) error {
	path := filepath.Join(f.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.Rename(r.Path, path)
}

// Place keeps content in the space of the request. The first of a space sweeps the folder: that is seldom enough.
func (f Folder) Place(c *collection.Call, r Received, name string) error {
	if _, err := os.Stat(filepath.Join(f.Dir, c.Space)); errors.Is(err, fs.ErrNotExist) {
		if err := f.sweep(c.Context, c.Service); err != nil {
			return err
		}
	}
	return f.Keep(r, name)
}

// sweep removes the content of spaces that were deleted, and uploads that a crash broke off. Their documents went with
// the space; files cannot go in a transaction.
func (f Folder) sweep(ctx context.Context, service *collection.Service) error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	var spaces []string
	for _, e := range entries {
		if e.IsDir() {
			spaces = append(spaces, e.Name())
		} else if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(filepath.Join(f.Dir, e.Name())) // tried again next time
		}
	}
	there, err := service.Store.Existing(ctx, service.Store.DB.Read(), "Spaces", spaces)
	if err != nil {
		return err
	}
	for _, space := range spaces {
		if _, ok := there[space]; !ok {
			if err := os.RemoveAll(filepath.Join(f.Dir, space)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Discard removes content that is to have no place.
func (r Received) Discard() { _ = os.Remove(r.Path) }

// Open reads content; what is not on the disk of this server is a 404.
func (f Folder) Open(name string) (*os.File, error) {
	file, err := os.Open(filepath.Join(f.Dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(404, "The content is not on this server's disk.").Because(err)
	}
	return file, err
}

// Remove takes content away; that it is gone already is no error.
func (f Folder) Remove(name string) error {
	err := os.Remove(filepath.Join(f.Dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// Open reads the content back before it has a place.
func (r Received) Open() (*os.File, error) { return os.Open(r.Path) }
