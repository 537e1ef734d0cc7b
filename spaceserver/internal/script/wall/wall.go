// Package wall keeps what runs on the server apart from the server, from its data and from other scripts, within limits, and
// kills all that it started.
package wall

import "os"

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
