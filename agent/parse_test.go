package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFindReady(t *testing.T) {
	t.Parallel()
	const line = `{"url":"http://127.0.0.1:8085","version":"2026.1.0","installationId":"a-b"}`
	want := ready{"http://127.0.0.1:8085", "2026.1.0", "a-b"}
	for name, c := range map[string]struct {
		output string
		want   ready
	}{
		"alone":                       {line + "\n", want},
		"after other lines":           {"starting\n{}\n\n" + line + "\n", want},
		"before other lines":          {line + "\nrunning\n", want},
		"the first of two":            {line + "\n" + strings.Replace(line, "8085", "9", 1) + "\n", want},
		"with members that are newer": {strings.Replace(line, "{", `{"more":[1],`, 1) + "\n", want},
		"still being written":         {line[:40], ready{}},
		"without its end":             {line, ready{}},
		"nothing":                     {"", ready{}},
		"an address that is none":     {strings.Replace(line, "http:", "javascript:", 1) + "\n", ready{}},
		"an address with a password":  {strings.Replace(line, "127", "u:p@127", 1) + "\n", ready{}},
		"without an installation":     {strings.Replace(line, "a-b", "", 1) + "\n", ready{}},
		"a version of two words":      {strings.Replace(line, "2026.1.0", "2026 1", 1) + "\n", ready{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := findReady([]byte(c.output)); got != c.want || (err == nil) != (c.want != ready{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func FuzzFindReady(f *testing.F) {
	f.Add([]byte(`{"url":"http://127.0.0.1:8085","version":"2026.1.0","installationId":"a"}` + "\n"))
	f.Add([]byte("x\n{\"url\":\"https://h\"}\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		r, err := findReady(output)
		if err != nil {
			return
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := findReady(append(line, '\n')); err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func TestManifest(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "instance-1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m := manifest{Format: manifestFormat, ID: "instance-1", Name: "Päyments", Version: "1.0.0", Executable: "v1.0.0-0123456789ab", Desired: desiredRunning, Port: 20001,
		InstallationID: "abc", Ready: &ready{"http://127.0.0.1:20001", "2026.1", "abc"}, ReadyPID: 7}
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	t.Run("reads what it wrote", func(t *testing.T) {
		got, err := readManifest(dir)
		if err != nil || *got.Ready != *m.Ready {
			t.Fatal(err)
		}
		got.Ready = m.Ready
		if got != m {
			t.Errorf("%+v", got)
		}
	})
	t.Run("is for its user alone, and leaves nothing beside it", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(dir, "manifest.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if all, _ := os.ReadDir(dir); len(all) != 1 {
			t.Errorf("%v", all)
		}
	})
	for name, text := range map[string]string{
		"of another folder":   `{"format":1,"id":"instance-2","desired":"running"}`,
		"of a newer format":   `{"format":2,"id":"instance-1","desired":"running"}`,
		"with a path":         `{"format":1,"id":"instance-1","desired":"running","executable":"../x"}`,
		"with a strange wish": `{"format":1,"id":"instance-1","desired":"dance"}`,
		"cut off":             `{"format":1,"id":"insta`,
		"empty":               ``,
	} {
		t.Run("refuses one "+name, func(t *testing.T) {
			if m, err := parseManifest([]byte(text), "instance-1"); err == nil {
				t.Errorf("%+v", m)
			}
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"id":"instance-1","desired":"running","executable":"v1-0123456789ab","port":20001}`))
	f.Add([]byte(`{"format":1,"id":"instance-1","desired":"removed","ready":{"url":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, "instance-1")
		if err != nil {
			return
		}
		if m.ID != "instance-1" || strings.ContainsAny(m.Executable, `/\`) || m.Executable == ".." || m.Port < 0 || m.Port > 65535 {
			t.Fatalf("accepted %+v", m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(again, "instance-1"); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "program")
	write := func(text string) {
		if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := func(text, version string) *versions {
		t.Helper()
		write(text)
		v, err := install(dir, program, version)
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
		if data, err := os.ReadFile(one.path(one.own)); err != nil || string(data) != "one" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("its own comes first, each version once", func(t *testing.T) {
		if got, want := one.list(), []string{"1.0.0", "1.1.0-rc.1+x"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got, want := again.list(), []string{"1.1.0-rc.1+x", "1.0.0"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("of two builds the latest is resolved, but an agent's own wins", func(t *testing.T) {
		for v, want := range map[*versions]string{one: again.own, two: two.own} {
			if got, err := v.resolve("1.1.0-rc.1+x"); err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		}
	})
	t.Run("what is missing is named", func(t *testing.T) {
		if _, err := one.resolve("7"); err == nil || !strings.Contains(err.Error(), "version 7 is not installed") {
			t.Errorf("%v", err)
		}
	})
	t.Run("what is not pinned goes", func(t *testing.T) {
		again.prune(map[string]bool{one.own: true})
		if got, want := again.folders(), []string{again.own, one.own}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
	t.Run("a version that is a path stays inside", func(t *testing.T) {
		if v := put("evil", "../../evil"); filepath.Dir(filepath.Dir(v.path(v.own))) != dir || !validFolder(v.own) {
			t.Errorf("%s", v.own)
		}
	})
}

func TestPorts(t *testing.T) {
	t.Parallel()
	p := newPorts("127.0.0.1")
	a, err := p.take("a", 0, 0)
	if err != nil || a < firstPort || a > lastPort {
		t.Fatal(a, err)
	}
	t.Run("an instance keeps its own", func(t *testing.T) {
		if got, err := p.take("a", 0, a); err != nil || got != a {
			t.Errorf("%d, %v; want %d", got, err, a)
		}
	})
	t.Run("two instances do not share, though nobody listens yet", func(t *testing.T) {
		if b, err := p.take("b", 0, a); err != nil || b == a {
			t.Errorf("%d, %v", b, err)
		}
		if _, err := p.take("c", a, 0); err == nil {
			t.Error("a wanted port that another instance has was given")
		}
	})
	t.Run("one that was released is free", func(t *testing.T) {
		p.release("a")
		if got, err := p.take("c", a, 0); err != nil || got != a {
			t.Errorf("%d, %v", got, err)
		}
	})
	t.Run("one on which a stranger listens is not", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := p.take("d", l.Addr().(*net.TCPAddr).Port, 0); err == nil {
			t.Error("given")
		}
	})
}

func TestOutput(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	long := bytes.Repeat([]byte("0123456789abcde\n"), maxOutput/16)
	if _, err := f.Write(append(long, "the end\n"...)); err != nil {
		t.Fatal(err)
	}
	t.Run("the tail is whole lines", func(t *testing.T) {
		lines := strings.Split(tail(path), "\n")
		if len(lines) != lastLines || lines[lastLines-1] != "the end" || lines[0] != "0123456789abcde" {
			t.Errorf("%q", lines)
		}
	})
	t.Run("what is too large is moved, and its writer goes on", func(t *testing.T) {
		if err := bound(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("after\n"); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "after\n" {
			t.Errorf("%q, %v", data, err)
		}
		if info, err := os.Stat(path + ".1"); err != nil || info.Size() != int64(len(long)+8) {
			t.Errorf("%v, %v", info, err)
		}
	})
	t.Run("what is small stays", func(t *testing.T) {
		if err := bound(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if got := tail(path); got != "after" {
			t.Errorf("%q", got)
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"disk is full":    &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC},
		"may not do this": &os.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		"no room":         &os.SyscallError{Syscall: "fork/exec", Err: syscall.EAGAIN},
		"Too many files":  &os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE},
		"something else":  errors.New("something else"),
	} {
		if got := explain(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q does not say %q", err, got, want)
		}
	}
}

func TestInherit(t *testing.T) {
	t.Parallel()
	got := inherit([]string{"PATH=/bin", "ODCM_ADMIN_PASSWORD=x", "ADMIN_API_KEY=y", "HOME=/root"})
	if want := []string{"PATH=/bin", "HOME=/root"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
