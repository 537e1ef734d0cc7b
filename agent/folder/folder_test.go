package folder

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	f, err := Open(filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "gone", "stays", ".hidden"} {
		if err := os.Mkdir(f.Instance(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Retire("kept"); err != nil {
		t.Fatal(err)
	}
	trash, err := f.Discard("gone")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := f.Instances(); err != nil || !slices.Equal(ids, []string{"stays"}) {
		t.Errorf("instances %v, %v", ids, err)
	}
	if _, err := os.Stat(trash); err != nil {
		t.Errorf("what was discarded: %v", err)
	}
	f.EmptyTrash()
	if _, err := os.Stat(trash); !os.IsNotExist(err) {
		t.Errorf("the trash was not emptied: %v", err)
	}
	if kept, err := filepath.Glob(f.join("retired", "kept-*")); err != nil || len(kept) != 1 {
		t.Errorf("retired %v, %v", kept, err)
	}
}

func TestValidNames(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{"instance-1": true, "": false, "..": false, "a/b": false, "-rf": false, "a b": false} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) is %v", id, got)
		}
	}
	for name, want := range map[string]bool{"v1.0.0-0123456789ab": true, "": false, "..": false, "../x": false, `a\b`: false, ".new-1": false} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %v", name, got)
		}
	}
}

func TestWriteReplacesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "two"} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("%q, %v; want %q", data, err, text)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("beside it: %v, %v", all, err)
	}
}
