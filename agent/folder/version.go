package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"odcm"
)

// Versions keeps executables below versions/, so that an instance runs what it is pinned to whatever becomes of
// the file that the agent was started from (`go run` deletes its own; an upgrade replaces it).
type Versions struct {
	dir string
	own string // the folder of this agent's own executable
}

// executableName is the file in the folder of a version.
const executableName = "odcm"

// Install copies the executable in as the agent's own, unless the same bytes are there already.
func (f Folder) Install(executable, version string) (_ *Versions, err error) {
	defer odcm.Wrap(&err, "install %s", version)
	source, err := os.Open(executable)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, source); err != nil {
		return nil, err
	}
	v := &Versions{dir: f.join("versions"), own: folderOf(version) + "-" + hex.EncodeToString(sum.Sum(nil))[:hashLength]}
	if _, err := os.Stat(v.Path(v.own)); err == nil {
		return v, nil
	}
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return v, v.copyIn(source)
}

// copyIn makes the whole folder under another name first: a folder with its name is complete. A hard link would be
// quicker, but a file that is later overwritten in place would change under the instances that are pinned to it.
func (v *Versions) copyIn(source *os.File) error {
	temporary, err := os.MkdirTemp(v.dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // what is left is swept at the next start
	target, err := os.OpenFile(filepath.Join(temporary, executableName), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil { // copy_file_range: shares blocks where the file system can
		_ = target.Close()
		return err
	}
	if err := target.Sync(); err != nil {
		_ = target.Close()
		return err
	}
	if err := target.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(v.dir, v.own)); err != nil && !os.IsExist(err) {
		return err
	}
	return syncNames(v.dir)
}

// Path is the executable in the folder of a version, as [Versions.Resolve] names it.
func (v *Versions) Path(folder string) string { return filepath.Join(v.dir, folder, executableName) }

const hashLength = 12

// folderOf makes a version usable as a folder's name.
func folderOf(version string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".+_-", r) {
			return r
		}
		return '_'
	}, version)
	if len(name) > 100 {
		name = name[:100]
	}
	return "v" + strings.TrimPrefix(name, "v")
}

// folders lists what is installed: the agent's own first, then the latest installed.
func (v *Versions) folders() []string {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return []string{v.own}
	}
	type installed struct {
		name string
		at   int64
	}
	var all []installed
	for _, e := range entries {
		if info, err := os.Stat(v.Path(e.Name())); err == nil && ValidName(e.Name()) {
			all = append(all, installed{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(all, func(a, b installed) int {
		if a.name == v.own || b.name == v.own {
			return map[bool]int{true: -1, false: 1}[a.name == v.own]
		}
		return int(max(min(b.at-a.at, 1), -1))
	})
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.name
	}
	return names
}

// List names the versions that can be started, each once, in the order of folders.
func (v *Versions) List() []string {
	var all []string
	for _, folder := range v.folders() {
		if version := versionOf(folder); !slices.Contains(all, version) {
			all = append(all, version)
		}
	}
	return all
}

func versionOf(folder string) string {
	return strings.TrimPrefix(folder[:max(len(folder)-hashLength-1, 0)], "v")
}

// Resolve names the folder to run a version from. Of several builds of one version the agent's own wins, then the latest.
func (v *Versions) Resolve(version string) (string, error) {
	for _, folder := range v.folders() {
		if versionOf(folder) == strings.TrimPrefix(folderOf(version), "v") {
			return folder, nil
		}
	}
	return "", fmt.Errorf("version %s is not installed on this server: choose one of %s", version, strings.Join(v.List(), ", "))
}

// Prune deletes what no instance is pinned to and is not the agent's own, and what a crash left half made.
func (v *Versions) Prune(pinned map[string]bool) {
	entries, _ := os.ReadDir(v.dir)
	for _, e := range entries {
		if e.Name() != v.own && !pinned[e.Name()] {
			_ = os.RemoveAll(filepath.Join(v.dir, e.Name()))
		}
	}
}

// ValidName tells whether a folder's name, read from a file, stays below versions/.
func ValidName(name string) bool {
	return name != "" && len(name) <= 200 && name[0] != '.' && filepath.IsLocal(name) && !strings.ContainsAny(name, `/\`)
}
