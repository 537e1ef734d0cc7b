// Package wall keeps what runs on the server apart from the server, from its data and from other scripts, within limits, and
// kills all that it started.
package wall

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Options are where scripts run and what they may use up. All are required.
type Options struct {
	Data             string // the server's data folder, absolute and without links: hidden from scripts but for what is theirs
	Disk             int64  // bytes in the folder of a script, and in any one file
	Memory           int64  // bytes of data of each process
	Processes, Files int    // of a script; open in each process
	FirstUser        int    // of a thousand user ids that are nobody's
}

// CookieName is the variable that all which a script starts inherits, by which it is known where nothing better is.
const CookieName = "OctopusRun"

// Passable makes a folder that the users of scripts pass through, whatever it was and whatever the server's umask is.
func Passable(folder string) error {
	if err := os.MkdirAll(folder, 0o711); err != nil { //nolint:gosec // see above
		return err
	}
	return os.Chmod(folder, 0o711)
}

// Programs is where scripts find programs, and where the server looks for what runs them: its own PATH may lead to
// folders that other users cannot read.
const Programs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Find is the path of a program.
func Find(program string) (string, error) {
	for dir := range strings.SplitSeq(Programs, ":") {
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s in %s: %w", program, Programs, fs.ErrNotExist)
}
