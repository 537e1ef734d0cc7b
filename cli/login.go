package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"odcm"
)

// saved is what odcm login keeps for later commands.
type saved struct {
	URL    string `json:"url"`
	APIKey string `json:"apiKey"`
}

// loginFile lies in the user's configuration folder, readable by the user alone.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where to keep the login: %w", err)
	}
	return filepath.Join(dir, "odcm", "login.json"), nil
}

// readLogin returns what was saved, the zero value where nothing was.
func readLogin() (saved, error) {
	var l saved
	path, err := loginFile()
	if err != nil {
		return l, nil // no home, as in a container: flags and environment will do
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, odcm.E(odcm.Invalid, "cli.login-file", "%s is damaged: run odcm login again", path)
	}
	return l, nil
}

func writeLogin(l saved) error {
	path, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	next := path + ".new" // a crash leaves the old file or the new one, never half
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func removeLogin() error {
	path, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sameURL compares two addresses of a manager by origin and path.
func sameURL(a, b string) bool {
	clean := func(s string) string {
		u, err := url.Parse(s)
		if err != nil {
			return s
		}
		return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimSuffix(u.Path, "/")
	}
	return clean(a) == clean(b)
}
