package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"unicode"
	"unicode/utf8"
)

// ready is the line that a Space server writes on its standard output when it answers.
type ready struct {
	URL            string `json:"url"`
	Version        string `json:"version"`
	InstallationID string `json:"installationId"`
}

// maxReady bounds how much of the output is searched for the line.
const maxReady = 64 << 10

var errNotReady = errors.New("no ready line yet")

// findReady returns the first line that is a ready line. Other lines before it are the instance's own affair; a last line
// without its end is still being written.
func findReady(output []byte) (ready, error) {
	for {
		line, rest, whole := bytes.Cut(output, []byte("\n"))
		if !whole {
			return ready{}, errNotReady
		}
		if r, err := parseReady(line); err == nil {
			return r, nil
		}
		output = rest
	}
}

func parseReady(line []byte) (ready, error) {
	var r ready
	if err := json.Unmarshal(line, &r); err != nil {
		return ready{}, err
	}
	u, err := url.Parse(r.URL)
	if err != nil || len(r.URL) > 500 || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return ready{}, errors.New("its url is not an address")
	}
	if !word(r.Version) || !word(r.InstallationID) {
		return ready{}, errors.New("its version or installationId is missing or no single word")
	}
	return r, nil
}

// word keeps to what can be shown and stored anywhere.
func word(s string) bool {
	if s == "" || len(s) > 200 || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
