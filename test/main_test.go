package test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain lets the test binary play a manager and an agent in processes of their own, which tests stop at steps and kill.
// What tests write goes into one folder, which is removed at the end.
func TestMain(m *testing.M) {
	if told := os.Getenv(houseVariable); told != "" {
		if err := playHouse(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(inFolder(m.Run))
}

func inFolder(run func() int) int {
	dir, err := os.MkdirTemp("", "odcm-stories-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv("TMPDIR", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}
