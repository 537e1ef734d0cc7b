package step

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sh runs one of the server's own scripts as a target would.
func sh(t *testing.T, script string) []string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "bash", "-c", script).Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, script)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func TestInstallationsAreKeptInTheJournal(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "it's a home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keep := Retention{Items: 1}
	var dirs []string
	for i, version := range []string{"1.0", "1.0", "2.0", "3.0"} {
		dir, earlier := prepared(sh(t, prepare(home, version, "set")))
		if len(earlier) > 2 || dir == "" {
			t.Fatalf("prepared %q with %v", dir, earlier)
		}
		dirs = append(dirs, filepath.Base(dir))
		new := installation{Set: "set", PackageID: "P", Version: version, ExtractedTo: dir, Succeeded: true, At: at.AddDate(0, 0, i)}
		sh(t, conclude(home, dir, nil, new, keep.outdated(earlier, dir, new.At)))
	}
	if want := []string{"1.0", "1.0_1", "2.0", "3.0"}; !slices.Equal(dirs, want) {
		t.Errorf("installed to %v, want %v", dirs, want)
	}
	entries, err := os.ReadDir(home)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{journalName, "2.0", "3.0"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("there are %v (%v), want %v", left, err, want)
	}
	if _, earlier := prepared(sh(t, prepare(home, "4.0", "another set"))); len(earlier) != 0 {
		t.Errorf("another step sees %v", earlier)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	earlier := []installation{}
	for i, name := range []string{"a", "b", "failed", "c"} {
		earlier = append(earlier, installation{ExtractedTo: name, Succeeded: name != "failed", At: now.AddDate(0, 0, -10*(4-i))})
	}
	for name, c := range map[string]struct {
		r       Retention
		current string
		want    string
	}{
		"everything for ever":       {r: Retention{Forever: true}},
		"nothing said":              {},
		"one":                       {r: Retention{Items: 1}, want: "failed b a"},
		"two that succeeded":        {r: Retention{Items: 2}, want: "failed a"},
		"more than there are":       {r: Retention{Items: 9}, want: "failed"},
		"some days":                 {r: Retention{Days: 25}, want: "b a"},
		"the current one is no old": {r: Retention{Items: 1}, current: "b", want: "failed a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, i := range c.r.outdated(earlier, c.current, now) {
				got = append(got, i.ExtractedTo)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("removes %v, want %q", got, c.want)
			}
		})
	}
}

func TestConcludeRemovesNothingElsewhere(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	other := filepath.Join(t.TempDir(), "precious")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	sh(t, conclude(home, home, nil, installation{Set: "s"}, []installation{{ExtractedTo: other}, {ExtractedTo: home + "/../" + filepath.Base(filepath.Dir(other)) + "/precious"}}))
	if _, err := os.Stat(other); err != nil {
		t.Error("it removed what is not its own")
	}
}

func TestPurgeKeepsWhatIsNamed(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	write := func(dir string, names ...string) {
		for _, name := range names {
			full := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(from, "new.txt", "sub/new.txt")
	write(to, "old.txt", ".hidden", "Config/a.config", "Config/b.txt", "keep/deep/file", "x y/z.log", "deep/er/z.LOG")
	if lines := sh(t, copyTo(from, to, true, []string{`Config\*.config`, "keep", "**/*.log"})); strings.TrimSpace(lines[len(lines)-1]) != "2" {
		t.Errorf("it says %q", lines)
	}
	var left []string
	_ = filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(to, path)
			left = append(left, name)
		}
		return err
	})
	if want := []string{"Config/a.config", "deep/er/z.LOG", "keep/deep/file", "new.txt", "sub/new.txt", "x y/z.log"}; !slices.Equal(left, want) {
		t.Errorf("there is %v, want %v", left, want)
	}
}
