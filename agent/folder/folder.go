// Package folder is the agent's folder on the disk: what is where in it, and how files and executables come to be there.
//
//	identity.json              the machine's key, certificate and authority (0600)
//	agent.lock                 held while an agent uses the folder: there is one at a time
//	versions/<name>/odcm       executables; <name> is a version and the beginning of the file's SHA-256
//	instances/<id>/            one instance, see odcm/agent/instance
//	retired/                   folders of instances that were removed with their data kept, or that the manager does not know
//	trash/                     folders on their way to be deleted
package folder

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Folder is its absolute path.
type Folder string

// Open makes the folder, with mode 0700, where it is missing.
func Open(path string) (Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f := Folder(path)
	for _, sub := range []string{"instances", "retired", "trash", "versions"} {
		if err := os.MkdirAll(f.join(sub), 0o700); err != nil {
			return "", err
		}
	}
	return f, nil
}

func (f Folder) join(names ...string) string {
	return filepath.Join(append([]string{string(f)}, names...)...)
}

// Identity is the file of the machine's key and certificate.
func (f Folder) Identity() string { return f.join("identity.json") }

// Lock is the file that an agent holds while it uses the folder.
func (f Folder) Lock() string { return f.join("agent.lock") }

// Instance is the folder of one instance. The identifier is a valid one.
func (f Folder) Instance(id string) string { return f.join("instances", id) }

// Instances lists the identifiers of the instances that have a folder.
func (f Folder) Instances() ([]string, error) {
	entries, err := os.ReadDir(f.join("instances"))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && ValidID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Retire puts the folder of an instance aside, with its data.
func (f Folder) Retire(id string) error {
	return os.Rename(f.Instance(id), f.join("retired", stamped(id)))
}

// Discard takes the folder of an instance away in one step, so that none is ever half there, and returns where it is to
// be deleted. What is not deleted then is at the next [Folder.EmptyTrash].
func (f Folder) Discard(id string) (string, error) {
	trash := f.join("trash", stamped(id))
	return trash, os.Rename(f.Instance(id), trash)
}

func stamped(id string) string { return id + "-" + time.Now().UTC().Format("20060102T150405.000") }

// EmptyTrash finishes deletions that a crash interrupted.
func (f Folder) EmptyTrash() {
	entries, _ := os.ReadDir(f.join("trash"))
	for _, e := range entries {
		_ = os.RemoveAll(f.join("trash", e.Name()))
	}
}

// ValidID keeps an instance's identifier usable as a folder's name, whoever sent it.
func ValidID(id string) bool {
	return id != "" && len(id) <= 100 && id[0] != '-' && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
