package breach_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"odcm/manager/identity/breach"
)

func hashOf(password string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(password))) }

// list writes the passwords in the form of such lists.
func list(t testing.TB, end string, passwords ...string) string {
	t.Helper()
	var lines []string
	for i, p := range passwords {
		lines = append(lines, fmt.Sprintf("%s:%d", hashOf(p), i*1000+1))
	}
	slices.Sort(lines)
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte(strings.Join(lines, end)+end), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContains(t *testing.T) {
	t.Parallel()
	var stolen []string
	for i := range 500 {
		stolen = append(stolen, fmt.Sprint("password", i))
	}
	for _, end := range []string{"\n", "\r\n"} {
		for _, n := range []int{1, 2, 3, 500} {
			l, err := breach.Open(list(t, end, stolen[:n]...))
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range stolen {
				if found, err := l.Contains(p); err != nil || found != (i < n) {
					t.Errorf("%d passwords, end %q: %s found %v, %v", n, end, p, found, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAnyListFindsWhatIsInIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.SliceOfNDistinct(rapid.String(), 1, 40, rapid.ID).Draw(r, "in")
		path := list(t, "\n", in...)
		l, err := breach.Open(path)
		if err != nil {
			r.Fatal(err)
		}
		defer l.Close()
		out := rapid.String().Draw(r, "out")
		for _, p := range append(in, out) {
			if found, err := l.Contains(p); err != nil || found != slices.Contains(in, p) {
				r.Fatalf("%q: %v, %v", p, found, err)
			}
		}
	})
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "passwords": "hunter2\npassword\n", "another hash": strings.Repeat("A", 64) + ":1\n", "one long line": strings.Repeat("A", 500)} {
		path := filepath.Join(t.TempDir(), "list.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := breach.Open(path); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := breach.Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func FuzzContains(f *testing.F) {
	f.Add([]byte(hashOf("a")+":1\n"+hashOf("b")+":2\n"), "a")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		path := filepath.Join(t.TempDir(), "list.txt")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := breach.Open(path)
		if err != nil {
			return
		}
		defer l.Close()
		_, _ = l.Contains(password) // that it ends is what is looked at
	})
}
