//go:build !linux

package wall

import (
	"context"
	"os"
	"os/exec"
)

// Wall stands on Linux only: elsewhere scripts run as the server does.
type Wall struct{ o Options }

// Choose chooses nothing.
func Choose(_ context.Context, o Options, root string) (*Wall, string, error) {
	return &Wall{o}, root, nil
}

// Describe says for the task's log what keeps a script apart.
func (*Wall) Describe(int) string {
	return "as the server's user without any isolation, which there is on Linux only"
}

// Claim takes no user.
func (*Wall) Claim() (user int, free func(), err error) { return 0, func() {}, nil }

// Cell is the room for a script in a folder.
func (w *Wall) Cell(user int, folder string) *Cell { return &Cell{Wall: w, User: user, Folder: folder} }

// Cell is the room for one script.
type Cell struct {
	*Wall
	User    int
	Folder  string
	Visible []string
}

// Disown takes nothing back.
func (*Wall) Disown(*os.Root, ...string) {}

// Own gives nothing away.
func (*Cell) Own(*os.Root, ...string) error { return nil }

// Have gives nothing away.
func (*Cell) Have(*os.Root, string) error { return nil }

// Enclose shuts nobody out.
func (*Cell) Enclose(*os.Root, string) error { return nil }

func (*Cell) ownPipe(*os.File) error { return nil }
func (*Cell) environment() []string  { return nil }
func (*Cell) enter() (func(), error) { return func() {}, nil }
func (*Cell) kill()                  {}
func size(info os.FileInfo) int64    { return info.Size() }

func (*Cell) command(dir string, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Dir = dir
	return cmd
}

// Free is not known.
func Free(string) (int64, bool) { return 0, false }

// Lock says that everything is in use: nothing is removed that might be.
func Lock(*os.File) bool { return false }
