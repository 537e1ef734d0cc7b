// Package breach looks passwords up in a list of stolen ones, without asking anybody: a file in the form in which such lists
// are given out, sorted by hash, one line each, the SHA-1 of the password in upper-case hexadecimal, a colon, and how often
// it was seen. The file has tens of gigabytes; a binary search on the disk reads some forty small pieces of it.
package breach

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // it is the form of the list, and protects nothing
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// List is an open file. It is safe for concurrent use.
type List struct {
	file io.ReaderAt
	size int64
	end  func() error
}

// maxLine bounds a line: 40 digits, a colon, a count, a line end of one or two bytes.
const maxLine = 80

// Open opens a file and sees that it is such a list.
func Open(path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		l := &List{file: f, size: info.Size(), end: f.Close}
		if err = l.check(); err == nil {
			return l, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("list of breached passwords %s: %w", path, err), f.Close())
}

// Close closes the file.
func (l *List) Close() error { return l.end() }

// check reads the first line.
func (l *List) check() error {
	_, _, err := l.line(0)
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	return err
}

// Contains tells whether the password is on the list.
func (l *List) Contains(password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
	want := strings.ToUpper(hex.EncodeToString(sum[:]))
	// The hash is in a line that begins at or after low and before high.
	for low, high := int64(0), l.size; low < high; {
		middle := low + (high-low)/2
		start, err := l.start(middle, low)
		if err != nil {
			return false, err
		}
		hash, next, err := l.line(start)
		switch {
		case err != nil:
			return false, err
		case hash == want:
			return true, nil
		case hash < want:
			low = next
		default:
			high = start
		}
	}
	return false, nil
}

// start is where the line begins that the byte at is in. No line begins before low that is looked for.
func (l *List) start(at, low int64) (int64, error) {
	from := max(low, at-maxLine)
	piece := make([]byte, at-from)
	if _, err := l.file.ReadAt(piece, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if i := bytes.LastIndexByte(piece, '\n'); i >= 0 {
		return from + int64(i) + 1, nil
	}
	if from == low {
		return low, nil
	}
	return 0, errForm
}

// line reads the hash of the line at, and where the next one begins.
func (l *List) line(at int64) (hash string, next int64, err error) {
	piece := make([]byte, maxLine)
	n, err := l.file.ReadAt(piece, at)
	if err != nil && (!errors.Is(err, io.EOF) || n == 0) {
		return "", 0, err
	}
	piece = piece[:n]
	next = at + int64(n)
	if i := bytes.IndexByte(piece, '\n'); i >= 0 {
		piece, next = piece[:i], at+int64(i)+1
	} else if n == maxLine {
		return "", 0, errForm
	}
	digits, _, _ := strings.Cut(strings.TrimRight(string(piece), "\r"), ":")
	digits = strings.ToUpper(digits)
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != sha1.Size {
		return "", 0, errForm
	}
	return digits, next, nil
}

var errForm = errors.New("it is not in the form of sorted lines HASH:COUNT")
