package script

import (
	"os"
	"path/filepath"

	"odcm/spaceserver/internal/script/wall"
)

// running is the folder with a folder for each server that runs scripts here, which is locked while the server lives. In
// it is a link for each script that runs, to the name of the script's folder, so that the next start removes what a killed
// server left, in which the text of the script lies. A link is made by one call, and nobody follows it.
const running = ".running"

// newNotes makes the folder for the notes of this server.
func newNotes(root string) (folder *os.File, err error) {
	dir := filepath.Join(root, running)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for range 3 { // another server that starts may take one for a left-over that is not locked yet
		name, err := os.MkdirTemp(dir, "server-")
		if err != nil {
			return nil, err
		}
		if folder, err = os.Open(name); err != nil {
			continue
		}
		if locked := wall.Lock(folder); locked {
			if _, err := os.Stat(name); err == nil {
				break
			}
		}
	}
	return folder, err
}

// sweep removes what servers left that live no more.
func sweep(root string) {
	servers, _ := os.ReadDir(filepath.Join(root, running)) // none: nothing was left
	for _, server := range servers {
		name := filepath.Join(root, running, server.Name())
		folder, err := os.Open(name)
		if err != nil {
			continue
		}
		if wall.Lock(folder) { // otherwise it lives: another part of this server, or another server on the folder
			notes, _ := folder.Readdirnames(-1)
			for _, note := range notes {
				if left, err := os.Readlink(filepath.Join(name, note)); err == nil && filepath.IsLocal(left) && filepath.Clean(left) != "." {
					_ = os.RemoveAll(filepath.Join(root, left)) // tried once: a script's folder hinders nobody
				}
			}
			_ = os.RemoveAll(name)
		}
		_ = folder.Close()
	}
}
