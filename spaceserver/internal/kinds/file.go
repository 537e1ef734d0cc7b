package kinds

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

// folder keeps uploaded content beside the database: packages and artifacts may be large, and rows are for small things.
type folder struct{ dir string }

// received is content that arrived and has no place yet.
type received struct {
	path string
	size int64
	hash string // SHA-1, lower case
}

// receive writes content to a temporary file of the folder. A reader that fails leaves nothing behind.
func (f folder) receive(write func(w io.Writer) error) (r received, err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return r, err
	}
	file, err := os.CreateTemp(f.dir, ".incoming-*")
	if err != nil {
		return r, err
	}
	r.path = file.Name()
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = problem.New(507, "The server's disk is full: nothing was changed. Please tell your administrator.").Because(err)
		}
		if err != nil {
			r.discard()
		}
	}()
	hash := sha1.New() //nolint:gosec // see above
	counted := &counter{}
	if err := write(io.MultiWriter(file, hash, counted)); err != nil {
		return r, err
	}
	r.size, r.hash = counted.n, hex.EncodeToString(hash.Sum(nil))
	return r, file.Sync()
}

// keep gives the content its name. Names are made by this package: they hold no separators but those that are meant.
func (f folder) keep(r received, name string) error {
	path := filepath.Join(f.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.Rename(r.path, path)
}

// place keeps content in the space of the request. The first of a space sweeps the folder: that is seldom enough.
func (f folder) place(c *collection.Call, r received, name string) error {
	if _, err := os.Stat(filepath.Join(f.dir, c.Space)); errors.Is(err, fs.ErrNotExist) {
		if err := f.sweep(c.Context, c.Service); err != nil {
			return err
		}
	}
	return f.keep(r, name)
}

// sweep removes the content of spaces that were deleted, and uploads that a crash broke off. Their documents went with
// the space; files cannot go in a transaction.
func (f folder) sweep(ctx context.Context, service *collection.Service) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	var spaces []string
	for _, e := range entries {
		if e.IsDir() {
			spaces = append(spaces, e.Name())
		} else if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(filepath.Join(f.dir, e.Name())) // tried again next time
		}
	}
	there, err := service.Store.Existing(ctx, service.Store.DB.Read(), "Spaces", spaces)
	if err != nil {
		return err
	}
	for _, space := range spaces {
		if _, ok := there[space]; !ok {
			if err := os.RemoveAll(filepath.Join(f.dir, space)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r received) discard() { _ = os.Remove(r.path) }

func (f folder) open(name string) (*os.File, error) {
	file, err := os.Open(filepath.Join(f.dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(404, "The content is not on this server's disk.").Because(err)
	}
	return file, err
}

// remove takes content away; that it is gone already is no error.
func (f folder) remove(name string) error {
	err := os.Remove(filepath.Join(f.dir, filepath.FromSlash(name)))
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

// bounded fails a writer behind its limit: a delta of a few bytes can ask for any number of copies of its base.
type bounded struct {
	io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, problem.New(413, "The content is larger than this server's limit for packages.")
	}
	return b.Writer.Write(p)
}

func openReceived(r received) (*os.File, error) { return os.Open(r.path) }
