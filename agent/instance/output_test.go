package instance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
