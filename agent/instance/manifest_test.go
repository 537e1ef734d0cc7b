package instance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
