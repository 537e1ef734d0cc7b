//go:build linux

package agent

import "testing"

func TestMeminfo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int64{
		"MemTotal:       16 kB\nMemFree:  2 kB\nMemAvailable:    8 kB\n": {16 << 10, 8 << 10},
		"MemTotal:\nMemAvailable: many kB\n":                             {0, 0},
		"":                                                               {0, 0},
	} {
		if total, available := parseMeminfo([]byte(text)); total != want[0] || available != want[1] {
			t.Errorf("%q: %d, %d; want %v", text, total, available, want)
		}
	}
}
