package directory_test

import (
	"net"
	"testing"
	"time"

	"odcm/test/directory"
)

func TestStart(t *testing.T) {
	t.Parallel()
	d := directory.Start(t)
	if len(d.Keytab) == 0 || d.CA == "" {
		t.Error("there is no keytab, or no authority")
	}
	env, err := d.Ticket(t.Context(), "alice", directory.Password)
	if err != nil || len(env) == 0 {
		t.Errorf("no ticket: %v", err)
	}
	if _, err := d.Ticket(t.Context(), "alice", "wrong"); err == nil {
		t.Error("a wrong password gets a ticket")
	}
	if _, err := d.Ticket(t.Context(), "dave", directory.Password); err == nil {
		t.Error("a disabled account gets a ticket")
	}
}

// TestAnEarlierRunIsEnded has a controller whose test was killed, so that it runs on.
func TestAnEarlierRunIsEnded(t *testing.T) {
	d := directory.Start(t)
	if err := directory.Abandon(d); err != nil {
		t.Fatal(err)
	}
	if err := directory.Reclaim(d); err != nil {
		t.Fatal(err)
	}
	if c, err := net.DialTimeout("tcp", net.JoinHostPort(d.Address, "389"), time.Second); err == nil {
		_ = c.Close()
		t.Error("it runs on")
	}
}
