package pack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// item is an entry of an archive that a test makes.
type item struct {
	name, content string
	mode          fs.FileMode
	link          string
	hard          bool
}

func zipOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate}
		h.SetMode(i.mode)
		content := i.content
		if i.link != "" {
			h.SetMode(fs.ModeSymlink | 0o777)
			content = i.link
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Mode: int64(i.mode.Perm()), Size: int64(len(i.content)), Typeflag: tar.TypeReg}
		switch {
		case i.hard:
			h.Typeflag, h.Linkname = tar.TypeLink, i.link
		case i.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, i.link
		case i.mode.IsDir():
			h.Typeflag = tar.TypeDir
		case i.mode&fs.ModeDevice != 0:
			h.Typeflag = tar.TypeBlock
		case i.mode&fs.ModeNamedPipe != 0:
			h.Typeflag = tar.TypeFifo
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(i.content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close()
	return b.Bytes()
}

// extract writes the archive to a disk and extracts it; outside is all that is beside the folder afterwards.
func extract(t testing.TB, name string, archive []byte, limits Limits) (folder string, s Summary, err error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "archive")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(dir, "into")
	s, err = Extract(t.Context(), path, name, folder, limits)
	if left := names(t, dir); !slices.Equal(left, []string{"archive", "into"}) && !(err != nil && slices.Equal(left, []string{"archive"})) {
		t.Errorf("%s: error %v, and the disk holds %v", name, err, left)
	}
	return folder, s, err
}

func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestExtract(t *testing.T) {
	t.Parallel()
	items := []item{{name: "bin/", mode: fs.ModeDir | 0o755}, {name: "bin/run.sh", content: "echo", mode: 0o4755}, {name: `Config\app.json`, content: "{}", mode: 0o600}, {name: "./a/b/c", content: "deep", mode: 0o644}, {name: "latest", link: "bin/run.sh"}, {name: "a/up", link: "../bin"}}
	for name, archive := range map[string][]byte{"x.zip": zipOf(t, items...), "x.JAR": zipOf(t, items...), "x.tar": tarOf(t, items...), "x.tar.gz": gzipOf(tarOf(t, items...)), "x.tgz": gzipOf(tarOf(t, items...)),
		"hard.tar": tarOf(t, append(items, item{name: "same", link: "bin/run.sh", hard: true})...)} {
		folder, s, err := extract(t, name, archive, Limits{})
		if err != nil || s.Files < 5 || s.Bytes < 10 {
			t.Errorf("%s: %+v, %v", name, s, err)
			continue
		}
		for path, want := range map[string]string{"bin/run.sh": "echo", "latest": "echo", "a/up/run.sh": "echo", "Config/app.json": "{}", "a/b/c": "deep"} {
			if got, err := os.ReadFile(filepath.Join(folder, path)); string(got) != want {
				t.Errorf("%s: %s holds %q, %v", name, path, got, err)
			}
		}
		if info, err := os.Stat(filepath.Join(folder, "bin/run.sh")); err != nil || info.Mode() != 0o755 {
			t.Errorf("%s: run.sh is %v, %v", name, info.Mode(), err)
		}
		if info, err := os.Stat(filepath.Join(folder, "a/b/c")); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: c is %v, %v", name, info.Mode(), err)
		}
	}
	t.Run("bzip2", func(t *testing.T) {
		t.Parallel()
		archive, err := os.ReadFile("testdata/hello.tar.bz2")
		if err != nil {
			t.Fatal(err)
		}
		folder, _, err := extract(t, "hello.tar.bz2", archive, Limits{})
		if got, _ := os.ReadFile(filepath.Join(folder, "hello.txt")); err != nil || string(got) != "hello\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("nupkg without what describes it", func(t *testing.T) {
		t.Parallel()
		folder, _, err := extract(t, "A.1.0.0.nupkg", zipOf(t, item{name: "_rels/.rels"}, item{name: "A.nuspec"}, item{name: "[Content_Types].xml"}, item{name: "package/services/metadata/x"}, item{name: "content/My%20File.txt", content: "x"}), Limits{})
		if err != nil || !slices.Equal(names(t, folder), []string{"content"}) || !slices.Equal(names(t, folder+"/content"), []string{"My File.txt"}) {
			t.Errorf("%v: %v", names(t, folder), err)
		}
	})
	t.Run("names that differ in case stay apart or are refused", func(t *testing.T) {
		t.Parallel()
		folder, _, err := extract(t, "x.zip", zipOf(t, item{name: "a", content: "lower"}, item{name: "A", content: "upper"}), Limits{})
		if err != nil {
			return
		}
		lower, _ := os.ReadFile(folder + "/a")
		upper, _ := os.ReadFile(folder + "/A")
		if string(lower) != "lower" || string(upper) != "upper" {
			t.Errorf("%q and %q", lower, upper)
		}
	})
}

func TestHostileArchivesAreRefused(t *testing.T) {
	t.Parallel()
	good := item{name: "good", content: "x", mode: 0o644}
	for name, items := range map[string][]item{
		"climbs":                     {{name: "../evil"}},
		"climbs later":               {{name: "a/../../evil"}},
		"climbs with backslashes":    {{name: `a\..\..\evil`}},
		"absolute":                   {{name: "/etc/evil"}},
		"absolute with a backslash":  {{name: `\evil`}},
		"network":                    {{name: `\\host\share`}},
		"drive":                      {{name: `C:\evil`}},
		"drive without a slash":      {{name: `c:evil`}},
		"link out":                   {{name: "l", link: "../evil"}},
		"link to the root":           {{name: "l", link: "/"}},
		"link that climbs later":     {{name: "a/l", link: "b/../../../evil"}},
		"link that climbs in words":  {{name: "l", link: `..\evil`}},
		"through a link":             {{name: "d/e/s", link: "../.."}, {name: "d/e/s/l", link: "../../evil"}},
		"file through a link":        {{name: "s", link: "."}, {name: "s/evil"}},
		"link chain":                 {{name: "a/b", link: ".."}, {name: "d", link: "a/b/.."}},
		"file instead of a link":     {{name: "l", link: "good"}, {name: "l", content: "evil"}},
		"link instead of a file":     {{name: "l", content: "x"}, {name: "l", link: "good"}},
		"twice":                      {{name: "f"}, {name: "f"}},
		"twice, written differently": {{name: "a/f"}, {name: `a\.\f`}},
		"file as a folder":           {{name: "f"}, {name: "f/g"}},
		"nothing":                    {{name: "."}},
		"NUL":                        {{name: "a\x00b"}},
		"long":                       {{name: strings.Repeat("a/", 3000) + "f"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			items := append([]item{good}, items...)
			archives := map[string][]byte{"x.zip": zipOf(t, items...)}
			if name != "NUL" { // tar ends a name there
				archives["x.tar"] = tarOf(t, items...)
			}
			for file, archive := range archives {
				if folder, _, err := extract(t, file, archive, Limits{}); err == nil {
					t.Errorf("%s was extracted: %v", file, names(t, folder))
				}
			}
		})
	}
	for name, items := range map[string][]item{
		"device": {{name: "sda", mode: fs.ModeDevice}}, "pipe": {{name: "p", mode: fs.ModeNamedPipe}}, "hard link out": {{name: "h", link: "../archive", hard: true}}, "hard link to nothing": {{name: "h", link: "none", hard: true}},
		"hard link to a link": {{name: "l", link: "good"}, {name: "h", link: "l", hard: true}}, "hard link to the root": {{name: "h", link: "/etc/passwd", hard: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if folder, _, err := extract(t, "x.tar", tarOf(t, append([]item{good}, items...)...), Limits{}); err == nil {
				t.Errorf("was extracted: %v", names(t, folder))
			}
		})
	}
	for name, archive := range map[string][]byte{"x.zip": []byte("no zip"), "y.zip": nil, "x.tar.gz": []byte("no gzip"), "x.tar": bytes.Repeat([]byte("x"), 1024), "x.tar.bz2": []byte("BZh9"), "x.exe": zipOf(t, good), "cut.zip": zipOf(t, good)[:60], "cut.tar.gz": gzipOf(tarOf(t, good))[:40]} {
		if _, _, err := extract(t, name, archive, Limits{}); err == nil {
			t.Errorf("%s was extracted", name)
		}
	}
}

func TestBombsAreStopped(t *testing.T) {
	t.Parallel()
	zeros := item{name: "zeros", content: strings.Repeat("\x00", 1<<20)}
	var many []item
	for i := range 50 {
		many = append(many, item{name: strings.Repeat("f", i+1)})
	}
	for name, test := range map[string]struct {
		items  []item
		limits Limits
	}{"bytes": {[]item{zeros}, Limits{Bytes: 1000}}, "files": {many, Limits{Files: 49}}} {
		for file, archive := range map[string][]byte{"x.zip": zipOf(t, test.items...), "x.tar": tarOf(t, test.items...), "x.tar.gz": gzipOf(tarOf(t, test.items...))} {
			if _, s, err := extract(t, file, archive, test.limits); err == nil || s.Bytes > 64<<10 {
				t.Errorf("%s in %s: %+v, %v", name, file, s, err)
			}
		}
	}
	x := extraction{limits: Limits{Bytes: 10 << 30, Ratio: 200}, packed: 1 << 20}
	if x.over(ratioFrom) != nil || x.over(201<<20) == nil {
		t.Error("the ratio is not looked at")
	}
	// A directory that says it holds one file and holds thousands: it is read into memory before anything else.
	if _, err := openZip(bytes.NewReader(zipOf(t, many...)), int64(len(zipOf(t, many...))), 1000); err == nil {
		t.Error("a large directory was read")
	}
}

func TestExtractEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path, zipOf(t, item{name: "a"}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	into := filepath.Join(t.TempDir(), "into")
	if _, err := Extract(ctx, path, "x.zip", into, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(into); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	kept := t.TempDir()
	if err := os.WriteFile(kept+"/mine", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(t.Context(), path, "x.zip", kept, Limits{}); err == nil || len(names(t, kept)) != 1 {
		t.Errorf("a folder with something in it: %v, %v", names(t, kept), err)
	}
}

// TestNames: what a file name tells is what it was made of, and never leads out of a folder.
func TestNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z]{1,8}([._-][A-Za-z]{1,8}){0,3}`).Draw(t, "id")
		version := rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){1,3}(-[a-z]{1,5}(\.[0-9]{1,3})?)?(\+[a-z]{1,5})?`).Draw(t, "version")
		extension := rapid.SampledFrom([]string{".zip", ".nupkg", ".tar.gz", ".tar.bz2", ".tar", ".jar"}).Draw(t, "extension")
		gotID, gotVersion, gotExtension, err := Name(id + "." + version + extension)
		if err != nil || gotID != id || gotVersion != version || gotExtension != extension {
			t.Fatalf("%s.%s%s is %q %q %q, %v", id, version, extension, gotID, gotVersion, gotExtension, err)
		}
	})
	for name, want := range map[string]string{"Acme.Web.1.2.3-beta.zip": "Acme.Web 1.2.3-beta .zip", "7-Zip.16.4.0.zip": "7-Zip 16.4.0 .zip", "foo.1.0.0-release.tar.gz": "foo 1.0.0-release .tar.gz", "a.1.zip": "a 1 .zip"} {
		id, version, extension, err := Name(name)
		if got := id + " " + version + " " + extension; err != nil || got != want {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"../../etc/passwd.1.0.0.zip", "a/b.1.0.zip", "noversion.zip", ".1.0.zip", "x.1", "a\x00.1.0.zip", `a\b.1.0.zip`, "a.99999999999.0.zip", ""} {
		if id, version, _, err := Name(name); err == nil {
			t.Errorf("%q was taken: %s %s", name, id, version)
		}
	}
}

func TestNuspec(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		xml  string
		want bool
	}{
		"with a namespace": {`<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd"><metadata><id> Acme.Web </id><version>1.2.3</version><releaseNotes>All &lt;new&gt;</releaseNotes></metadata></package>`, true},
		"without an id":    {`<package><metadata><version>1</version></metadata></package>`, false},
		"entities":         {`<!DOCTYPE x [<!ENTITY a "aaaa">]><package><metadata><id>&a;</id><version>1</version></metadata></package>`, false},
		"too long":         {`<package><metadata><id>x</id><version>1</version><summary>` + strings.Repeat("x", 2<<20), false},
	} {
		n, ok := parseNuspec(strings.NewReader(test.xml))
		if ok != test.want || ok && (n.ID != "Acme.Web" || n.ReleaseNotes != "All <new>") {
			t.Errorf("%s: %+v, %v", name, n, ok)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"web.config", "Web.Release.config", "app.json", "config/app.json", "config/deep/er/app.json", "config/app.xml", "config/a[1].txt", "bin/x.dll"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(folder, "etc")); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"*.config": "Web.Release.config web.config", "WEB.CONFIG": "web.config", "**/app.json": "app.json config/app.json config/deep/er/app.json", `config\*.json`: "config/app.json", "config/**/*": "config/a[1].txt config/app.json config/app.xml config/deep/er/app.json",
		"config/app.{json,xml}": "config/app.json config/app.xml", "config/app.?ml": "config/app.xml", "[a-b]*": "app.json", "[!w]*": "app.json", "./app.json": "app.json", "**/etc/passwd": "", "../*": "", "none": "", "**": "Web.Release.config app.json bin/x.dll config/a[1].txt config/app.json config/app.xml config/deep/er/app.json web.config",
	} {
		found, without, err := Find(folder, pattern)
		if got := strings.Join(found, " "); err != nil || got != want || (len(without) == 1) != (want == "") {
			t.Errorf("%s finds %q, want %q; without %v, %v", pattern, got, want, without, err)
		}
	}
	for _, pattern := range []string{"{a", strings.Repeat("*", 2000), "[z-a]"} {
		if found, _, err := Find(folder, pattern); err == nil {
			t.Errorf("%s finds %v", pattern, found)
		}
	}
	if lines := Lines(" a \r\n\n b/**\n"); !slices.Equal(lines, []string{"a", "b/**"}) {
		t.Errorf("%q", lines)
	}
}

func FuzzExtract(f *testing.F) {
	items := []item{{name: "a/b", content: "x", mode: 0o755}, {name: "../evil"}, {name: "l", link: "../x"}, {name: "a/l", link: "../a"}}
	for n := range len(items) + 1 {
		f.Add("x.zip", zipOf(f, items[:n]...))
		f.Add("x.tar", tarOf(f, items[:n]...))
		f.Add("x.nupkg", zipOf(f, items[:n]...))
	}
	f.Add("x.tgz", gzipOf(tarOf(f, items[:1]...)))
	f.Fuzz(func(t *testing.T, name string, archive []byte) {
		folder, _, err := extract(t, name, archive, Limits{Files: 100, Bytes: 1 << 20}) // fails when something lies beside the folder
		if err != nil {
			return
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Type()&fs.ModeSymlink == 0 {
				return err
			}
			if _, err := root.Stat(path); err != nil && strings.Contains(err.Error(), "escapes") {
				t.Errorf("the link %s leads out", path)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func FuzzNuspec(f *testing.F) {
	f.Add(`<package><metadata><id>x</id><version>1.0</version></metadata></package>`)
	f.Add(`<a><b>`)
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parseNuspec(strings.NewReader(text)); ok && (n.ID == "" || n.Version == "") {
			t.Errorf("%+v describes nothing", n)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"Acme.Web.1.2.3.4-a.b+c.zip", "1..2", "", "../x.1.0.zip", "a.1.tar.gz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, version, extension, err := Name(s)
		if err == nil && (id == "" || id+"."+version+extension != s || strings.ContainsAny(s, "/\\\x00")) {
			t.Errorf("%q is %q %q %q", s, id, version, extension)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("**/*.{a,b}")
	f.Add("[!a-z]?{,}")
	f.Fuzz(func(t *testing.T, pattern string) {
		if form, err := compile(pattern); err == nil {
			form.MatchString("a/b/c.config")
		}
	})
}
