package wall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Command is what runs in a cell.
type Command struct {
	Args           []string // the program is found by PATH
	Dir            string
	Env            []string
	Stdin          io.Reader             // comes as descriptor 3: the command's own input is empty
	Stdout, Stderr func(io.Reader) error // read to the end; an error stops the command
}

// ExitError says that a command ended with another code than 0; 128 and the signal where one ended it.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return "exit code " + strconv.Itoa(e.Code) }

// Run runs a command in the cell and reads what it prints to the end. Nothing that it started is left when it returns. A
// command that was stopped gives the context's cause.
func (c *Cell) Run(ctx context.Context, command Command) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := c.command(command.Dir, command.Args)
	cmd.Env = append(c.environment(), command.Env...)
	var ours, theirs []*os.File
	pipe := func(reads bool) (*os.File, error) {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		mine, other := read, write
		if reads {
			mine, other = write, read
		}
		ours, theirs = append(ours, mine), append(theirs, other)
		return mine, c.ownPipe(other) // or a script could not open /dev/stderr
	}
	defer func() {
		for _, f := range append(ours, theirs...) {
			_ = f.Close() // closed twice on most paths
		}
	}()
	in, err := pipe(true)
	if err != nil {
		return err
	}
	out, err := pipe(false)
	if err != nil {
		return err
	}
	bad, err := pipe(false)
	if err != nil {
		return err
	}
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = theirs[:1], theirs[1], theirs[2]
	ended := make(chan error, 1)
	started := make(chan error, 1)
	// The parent-death signal belongs to the thread that starts the command: it must live as long (prctl(2)).
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine: see enter
		leave, err := c.enter()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			err = cmd.Wait()
		}
		leave()
		ended <- err
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("the script could not be started: %w", full(err))
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	var streams sync.WaitGroup
	streams.Go(func() {
		_, _ = io.Copy(in, command.Stdin) // a command that reads nothing closes it
		_ = in.Close()
	})
	streams.Go(func() { fail(stop, command.Stdout(out)) })
	streams.Go(func() { fail(stop, command.Stderr(bad)) })
	guarded := make(chan struct{})
	go func() {
		defer close(guarded)
		c.guard(ctx, stop)
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Kill() // it may have ended just now
		err = <-ended
	}
	c.kill()
	quit := time.AfterFunc(5*time.Second, func() { // where something could not be killed, it keeps its end of the pipes
		for _, f := range ours {
			_ = f.Close()
		}
	})
	streams.Wait()
	quit.Stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stop(nil)
	<-guarded
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code := exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			code = 128 + int(status.Signal()) // as a shell says it
		}
		return &ExitError{Code: code}
	}
	return err
}

func fail(stop context.CancelCauseFunc, err error) {
	if err != nil {
		stop(err)
	}
}

// full puts the error of a full disk into words.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the server's disk is full: %w", err)
	}
	return err
}

// guard stops a script whose folder grows beyond the limit. It looks once a second, and less often where looking takes
// long.
func (c *Cell) guard(ctx context.Context, stop context.CancelCauseFunc) {
	pause := time.NewTimer(time.Second)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		began := time.Now()
		if used := usage(ctx, c.Folder, c.o.Disk); used > c.o.Disk {
			stop(fmt.Errorf("the script was stopped: it filled its folder with more than %d bytes, which is this server's limit", c.o.Disk))
			return
		}
		if left, ok := Free(c.Folder); ok && left < reserve {
			stop(fmt.Errorf("the script was stopped: the server's disk has less than %d bytes left", int64(reserve)))
			return
		}
		pause.Reset(max(time.Second, 20*time.Since(began)))
	}
}

// reserve is what scripts must leave of the disk for the server's database.
const reserve = 32 << 20

// usage is the size of a folder, counted until it is more than the limit.
func usage(ctx context.Context, folder string, limit int64) (used int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil || used > limit {
			return fs.SkipAll
		}
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := entry.Info(); err == nil {
			used += size(info)
		}
		return nil
	})
	return used
}
