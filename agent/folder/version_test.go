package folder

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	f, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	write := func(text string) {
		if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := func(text, version string) *Versions {
		t.Helper()
		write(text)
		v, err := f.Install(program, version)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // file times order what is equal otherwise
		return v
	}
	one := put("one", "v1.0.0")
	two := put("two", "1.1.0-rc.1+x")
	again := put("two, built again", "1.1.0-rc.1+x")
	t.Run("a copy does not follow its source", func(t *testing.T) {
		if data, err := os.ReadFile(one.Path(one.own)); err != nil || string(data) != "one" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("its own comes first, each version once", func(t *testing.T) {
		if got, want := one.List(), []string{"1.0.0", "1.1.0-rc.1+x"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got, want := again.List(), []string{"1.1.0-rc.1+x", "1.0.0"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("of two builds the latest is resolved, but an agent's own wins", func(t *testing.T) {
		for v, want := range map[*Versions]string{one: again.own, two: two.own} {
			if got, err := v.Resolve("1.1.0-rc.1+x"); err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		}
	})
	t.Run("what is missing is named", func(t *testing.T) {
		if _, err := one.Resolve("7"); err == nil || !strings.Contains(err.Error(), "version 7 is not installed") {
			t.Errorf("%v", err)
		}
	})
	t.Run("what is not pinned goes", func(t *testing.T) {
		again.Prune(map[string]bool{one.own: true})
		if got, want := again.folders(), []string{again.own, one.own}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("a version that is a path stays inside", func(t *testing.T) {
		if v := put("evil", "../../evil"); filepath.Dir(filepath.Dir(v.Path(v.own))) != f.join("versions") || !ValidName(v.own) {
			t.Errorf("%s", v.own)
		}
	})
}
