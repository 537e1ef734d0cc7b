package script_test

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"odcm/spaceserver/internal/script"
)

// What the walls cost, as tasks run: a script behind them, and BenchmarkBash for the same by itself.
func BenchmarkLocal(b *testing.B) {
	data := b.TempDir()
	if err := os.Chmod(filepath.Dir(data), 0o755); err != nil { // as a folder for data lies usually
		b.Fatal(err)
	}
	l := script.NewLocal(script.LocalOptions{Data: data})
	together(b, func() error {
		return l.Run(b.Context(), script.Work{Syntax: script.Bash, Body: "echo hi", Folder: "Work/t" + rand.Text() + "/s"}, &heard{})
	})
}

func BenchmarkBash(b *testing.B) {
	together(b, func() error { return exec.Command("/bin/bash", "-c", "echo hi").Run() })
}

// together does it ten times at a time for each processor.
func together(b *testing.B, do func() error) {
	b.SetParallelism(10)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
