package instance

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

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
