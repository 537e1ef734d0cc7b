package library

import (
	"testing"

	"pgregory.net/rapid"
)

// TestFileNames: what a file name tells is what it was made of, and never leads out of the folder.
func TestFileNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z]{1,8}([._-][A-Za-z]{1,8}){0,3}`).Draw(t, "id")
		version := rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){1,3}(-[a-z]{1,5}(\.[0-9]{1,3})?)?`).Draw(t, "version")
		extension := rapid.SampledFrom([]string{".zip", ".nupkg", ".tar.gz", ".jar"}).Draw(t, "extension")
		got, err := parseFileName(id + "." + version + extension)
		if err != nil || got != (named{id, version, extension}) {
			t.Fatalf("%s.%s%s is %+v, %v", id, version, extension, got, err)
		}
	})
	for _, name := range []string{"../../etc/passwd.1.0.0.zip", "a/b.1.0.zip", "noversion.zip", ".1.0.zip", "x.1", "a\x00.1.0.zip", `a\b.1.0.zip`} {
		if got, err := parseFileName(name); err == nil {
			t.Errorf("%q was taken: %+v", name, got)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"Acme.Web.1.2.3.4-a.b+c.zip", "1..2", "", "../x.1.0.zip"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseFileName(s); err == nil && got.id == "" {
			t.Errorf("%q has no identity", s)
		}
	})
}
