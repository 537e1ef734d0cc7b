package instance

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// An instance writes to files, not to pipes: a pipe's writer is killed when the agent that reads it is gone. The agent
// bounds the files from outside, which works because they are opened for appending.

// maxOutput is the size at which a file is cut; with its predecessor an instance keeps at most twice that, and what it
// writes in one tidyEvery.
const maxOutput = 4 << 20

// bound moves the file's content to its predecessor when it is too large.
func bound(path, predecessor string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() < maxOutput {
		return err
	}
	if predecessor != "" {
		if err := copyFile(path, predecessor); err != nil {
			return err
		}
	}
	return os.Truncate(path, 0)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, io.LimitReader(source, 4*maxOutput))
	return errors.Join(err, target.Close())
}

// head reads the beginning of a file.
func head(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

const lastLines, lastBytes = 8, 1500

// tail returns the last lines of a file, for a reason that people read.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	if _, err := f.Seek(max(info.Size()-lastBytes, 0), io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, lastBytes))
	if err != nil {
		return ""
	}
	if info.Size() > lastBytes { // the first line is cut
		if _, rest, ok := bytes.Cut(data, []byte("\n")); ok {
			data = rest
		}
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(data), "?")), "\n")
	return strings.Join(lines[max(len(lines)-lastLines, 0):], "\n")
}
