package script_test

import (
	"os/exec"
	"testing"

	"odcm/spaceserver/internal/script"
)

// What the walls cost: a script behind them, and the same by itself.
func BenchmarkScript(b *testing.B) {
	b.Run("walled", func(b *testing.B) {
		l := script.NewLocal(script.LocalOptions{Data: b.TempDir()})
		for b.Loop() {
			if err := l.Run(b.Context(), script.Work{Syntax: script.Bash, Body: "echo hello"}, &heard{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("control", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/bash", "-c", "echo hello").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
