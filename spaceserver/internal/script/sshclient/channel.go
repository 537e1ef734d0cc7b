package sshclient

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// Channel is one command on a target. [ssh.Session] waits until everything that the command started has let go of its
// output; this one knows when the command itself ended (RFC 4254, sections 6.5 and 6.10).
type Channel struct {
	ssh.Channel
	Ended chan error // gets one: nil, an [*ExitError], [ErrVanished]
}

// ExitError says that a command ended with another code than 0.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return "exit code " + strconv.Itoa(e.Code) }

// ErrVanished says that the channel closed before the command's end was told.
var ErrVanished = errors.New("the command's end was not told")

// Start runs a command with a text as its input.
func Start(client *ssh.Client, command string, input io.Reader) (*Channel, error) {
	opened, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	c := &Channel{Channel: opened, Ended: make(chan error, 1)}
	go c.follow(requests)
	accepted, err := opened.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	if err == nil && !accepted {
		err = errors.New("the host refuses to run commands")
	}
	if err != nil {
		_ = opened.Close()
		return nil, err
	}
	go func() {
		_, _ = io.Copy(opened, input) // a command that reads nothing closes it
		_ = opened.CloseWrite()
	}()
	return c, nil
}

// follow reads what the host tells about the command until the channel closes.
func (c *Channel) follow(requests <-chan *ssh.Request) {
	told := false
	tell := func(err error) {
		if !told {
			c.Ended <- err
		}
		told = true
	}
	for r := range requests {
		switch r.Type {
		case "exit-status":
			var status struct{ Code uint32 }
			if err := ssh.Unmarshal(r.Payload, &status); err != nil {
				tell(err)
			} else if status.Code == 0 {
				tell(nil)
			} else {
				tell(&ExitError{Code: int(status.Code)})
			}
		case "exit-signal":
			var signal struct {
				Name           string
				Dumped         bool
				Text, Language string
			}
			_ = ssh.Unmarshal(r.Payload, &signal) // what cannot be read has no name
			tell(fmt.Errorf("the script was ended by the signal %q", signal.Name))
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
	tell(ErrVanished)
}
