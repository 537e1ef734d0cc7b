package script

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/script/sshclient"
	"odcm/spaceserver/internal/script/wall"
)

// SSH runs scripts on a target by SSH. Nothing is installed there; bash must be, and the SFTP subsystem.
//
// The script runs with the rights of the account that logs in. What it leaves running when it succeeds or fails goes on, as
// people start services that way; what a canceled one started is killed, on Linux wherever it went.
type SSH struct {
	o SSHOptions

	mu   sync.Mutex
	link *link
}

// link is one connection.
type link struct {
	client *ssh.Client
	home   string
	lost   context.CancelCauseFunc
	ctx    context.Context //nolint:containedctx // it ends with the connection, and says why
}

// SSHOptions say how a target is reached, who logs in there, and how much of a script's output is passed on.
type SSHOptions = sshclient.Options

// NewSSH makes the place. It connects when first used, and again after a connection was lost.
func NewSSH(o SSHOptions) *SSH {
	return &SSH{o: o.WithDefaults()}
}

func (s *SSH) connect(ctx context.Context) (*link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil && s.link.ctx.Err() == nil {
		return s.link, nil
	}
	client, err := s.o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{client: client}
	l.ctx, l.lost = context.WithCancelCause(context.Background())
	go l.watch(s.o)
	var home strings.Builder
	if err := l.ask(ctx, `printf %s "$HOME"`, &home); err != nil {
		l.close()
		return nil, fmt.Errorf("%s does not run commands by bash: %w", s.o.Address(), err)
	}
	if l.home = home.String(); !path.IsAbs(l.home) {
		l.close()
		return nil, fmt.Errorf("%s has no home folder for the user '%s'", s.o.Address(), s.o.Username)
	}
	s.link = l
	return l, nil
}

// watch asks the host now and then whether it is there, and tells when the connection ends.
func (l *link) watch(o SSHOptions) {
	ended := make(chan error, 1)
	go func() { ended <- l.client.Wait() }()
	pause := time.NewTicker(o.Silence / 3)
	defer pause.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = io.EOF
			}
			l.lost(fmt.Errorf("the connection to %s was lost: %w", o.Address(), err))
			return
		case <-l.ctx.Done():
			return
		case <-pause.C:
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _, _ = l.client.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer
		}()
		silence := time.NewTimer(o.Silence)
		select {
		case <-answered:
		case <-silence.C:
			l.lost(fmt.Errorf("the connection to %s was lost: it has not answered for %s", o.Address(), o.Silence))
			_ = l.client.Close()
			return
		}
		silence.Stop()
	}
}

func (l *link) close() {
	l.lost(errors.New("the connection was closed"))
	_ = l.client.Close()
}

// Close ends the connection.
func (s *SSH) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.link.close()
		s.link = nil
	}
	return nil
}

// Root is ~/.octopus, as Octopus has it (docs: infrastructure/deployment-targets/linux/ssh-target).
func (s *SSH) Root(ctx context.Context) (string, error) {
	l, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	return l.root(), nil
}

func (l *link) root() string { return path.Join(l.home, ".octopus") }

// at is the absolute path of a path of the place.
func (l *link) at(name string) string {
	name = filepath.ToSlash(name)
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(l.root(), path.Clean("/"+name))
}

// Upload lays a file on the target.
func (s *SSH) Upload(ctx context.Context, name string, mode uint32, content io.Reader) (string, error) {
	l, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	full := l.at(name)
	err = l.transfer(ctx, func(files *sftp.Client) error { return place(files, full, mode, content) })
	if err != nil {
		return "", fmt.Errorf("upload of %s: %w", full, err)
	}
	return full, nil
}

// transfer does something with the target's files. It has an SFTP session of its own, which is closed when the context ends:
// that is the only way to stop what waits for an answer.
func (l *link) transfer(ctx context.Context, do func(files *sftp.Client) error) error {
	files, err := sftp.NewClient(l.client)
	if err != nil {
		return fmt.Errorf("the target does not offer SFTP, by which files are laid there: %w", l.why(ctx, err))
	}
	stop := context.AfterFunc(ctx, func() { _ = files.Close() })
	defer stop()
	if err := do(files); err != nil {
		_ = files.Close()
		return l.why(ctx, err)
	}
	return files.Close()
}

// why is the reason behind an error: the task's end, the lost connection, or what it says.
func (l *link) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if l.ctx.Err() == nil && (errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF)) {
		select { // the end of the connection is told by another goroutine
		case <-l.ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return cause(l.ctx, err)
}

// place writes a file anew, with the folders that it is in.
func place(files *sftp.Client, full string, mode uint32, content io.Reader) error {
	if err := files.MkdirAll(path.Dir(full)); err != nil {
		return err
	}
	if err := files.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := files.Create(full)
	if err != nil {
		return err
	}
	err = file.Chmod(fs.FileMode(cmp.Or(mode, 0o600)).Perm()) // before anything is in it
	if err == nil {
		_, err = file.ReadFrom(content)
	}
	return errors.Join(err, file.Close())
}

// quote is a word of a POSIX shell that means the text.
func quote(text string) string { return bashQuoted(text) }

// ask runs a short command to its end.
func (l *link) ask(ctx context.Context, command string, answer io.Writer) error {
	session, err := l.client.NewSession()
	if err != nil {
		return l.why(ctx, err)
	}
	defer func() { _ = session.Close() }() // it has closed already where it ran to its end
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	session.Stdout = answer
	if err := session.Run("bash -c " + quote(command)); err != nil {
		return l.why(ctx, err)
	}
	return nil
}

// Run runs a script on the target.
func (s *SSH) Run(ctx context.Context, w Work, out Output) error {
	started, err := newLaunch(w)
	if err != nil {
		return err
	}
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	folder := w.Folder
	if folder == "" {
		folder = "run-" + rand.Text()
	}
	r := &remote{link: l, folder: l.at(folder), cookie: rand.Text()}
	if r.folder == l.root() || !strings.HasPrefix(r.folder, l.root()+"/") {
		return problem.Invalid("The folder of a script must lie below the working folder.")
	}
	if r.dir = r.folder; w.WorkingDir != "" {
		r.dir = l.at(w.WorkingDir)
	}
	err = l.transfer(ctx, func(files *sftp.Client) error { return r.lay(files, w, started) })
	if err == nil {
		screen := newScreen(out, cmp.Or(s.o.Output, mostOutput))
		err = r.run(ctx, started, screen)
		if ctx.Err() == nil && l.ctx.Err() == nil {
			r.give(ctx, screen.given(), out)
		}
		screen.end()
	}
	r.remove(w.Keep, started)
	return l.why(ctx, err)
}

// remote is one script on a target.
type remote struct {
	*link

	folder, dir string
	cookie      string // in the environment of all that it starts
}

func (r *remote) lay(files *sftp.Client, w Work, started *launch) error {
	err := files.MkdirAll(r.folder)
	for again := 0; again < 3 && errors.Is(err, fs.ErrNotExist); again++ { // another step has just removed the folder of the task
		err = files.MkdirAll(r.folder)
	}
	if err != nil {
		return fmt.Errorf("folder %s on the target: %w", r.folder, err)
	}
	if err := files.Chmod(r.folder, 0o700); err != nil {
		return fmt.Errorf("folder %s on the target: %w", r.folder, err)
	}
	for _, f := range w.Files {
		name := path.Clean(f.Name)
		if !filepath.IsLocal(name) {
			return problem.Invalid("'" + f.Name + "' is no name of a file within the script's folder.")
		}
		content, err := f.Open()
		if err != nil {
			return err
		}
		err = errors.Join(place(files, path.Join(r.folder, name), f.Mode, content), content.Close())
		if err != nil {
			return fmt.Errorf("file %s on the target: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(started.files)) {
		if err := place(files, path.Join(r.folder, name), 0o600, strings.NewReader(started.files[name])); err != nil {
			return fmt.Errorf("file %s on the target: %w", name, err)
		}
	}
	return nil
}

// line is what the target's shell gets: nothing secret, it is seen in the list of processes.
func (r *remote) line(started *launch) string {
	b := "cd " + quote(r.dir) + " || exit 1\n" +
		"export OctopusFolder=" + quote(r.folder) + " " + wall.CookieName + "=" + r.cookie + ` PATH="$PATH:"` + quote(r.folder) + " PYTHONDONTWRITEBYTECODE=1\n" +
		"command -v " + started.program + ` >/dev/null || { echo "There is no '` + started.program + `' on this target, which the script needs." >&2; exit 127; }` + "\n" +
		`[ -d /proc/self ] || ps -o pgid= -p $$ >"$OctopusFolder/.group"` + "\n" +
		"exec 3<&0 </dev/null\nexec " + quote(started.program)
	for _, a := range started.args {
		b += " " + quote(a)
	}
	return "bash -c " + quote(b)
}

// linger is how long output may be silent behind the end of a script before what it left running is let alone with it.
const linger = 2 * time.Second

func (r *remote) run(ctx context.Context, started *launch, s *screen) error {
	command, err := sshclient.Start(r.client, r.line(started), strings.NewReader(started.feed))
	if err != nil {
		return fmt.Errorf("start on the target: %w", err)
	}
	defer func() { _ = command.Close() }() // what the script left running may hold it open
	var heard atomic.Int64
	var streams sync.WaitGroup
	streams.Go(func() { _ = s.copy(noting{command, &heard}, false) }) // how it ended is told apart from them
	streams.Go(func() { _ = s.copy(noting{command.Stderr(), &heard}, true) })
	select {
	case err = <-command.Ended:
	case <-ctx.Done():
		r.kill()
		return context.Cause(ctx)
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		streams.Wait()
	}()
	for before := int64(-1); heard.Load() != before; {
		before = heard.Load()
		select {
		case <-read:
		case <-time.After(linger):
		case <-ctx.Done():
		}
	}
	if errors.Is(err, sshclient.ErrVanished) {
		return r.why(ctx, io.EOF)
	}
	var exit *sshclient.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Code: exit.Code}
	}
	return err
}

// noting counts what was read.
type noting struct {
	io.Reader
	heard *atomic.Int64
}

func (n noting) Read(p []byte) (int, error) {
	got, err := n.Reader.Read(p)
	n.heard.Add(int64(got))
	return got, err
}

// kill ends all that carries the cookie, by a second channel; where there is no /proc, the process group.
func (r *remote) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	_ = r.ask(ctx, `for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for file in $(grep -lsF '`+wall.CookieName+`=`+r.cookie+`' /proc/[0-9]*/environ 2>/dev/null); do
    pid=${file#/proc/}; kill -KILL "${pid%/environ}" 2>/dev/null && found=1
  done
  [ -n "$found" ] || break
done
[ ! -s `+quote(r.folder+"/.group")+` ] || kill -KILL -- "-$(tr -d ' ' <`+quote(r.folder+"/.group")+`)"`, io.Discard) // the session is closed in any case
}

// give reads artifacts from the target.
func (r *remote) give(ctx context.Context, artifacts []artifact, out Output) {
	if len(artifacts) == 0 {
		return
	}
	err := r.transfer(ctx, func(files *sftp.Client) error {
		for _, a := range artifacts {
			file := a.path
			if !path.IsAbs(file) {
				file = path.Join(r.dir, file)
			}
			name := cmp.Or(a.name, path.Base(file))
			content, err := files.Open(file)
			if err == nil {
				err = errors.Join(out.Artifact(name, content), content.Close())
			}
			if err != nil {
				out.Line(true, "The artifact '"+name+"' was not kept: "+err.Error())
			}
		}
		return nil
	})
	if err != nil {
		out.Line(true, "Artifacts were not kept: "+err.Error())
	}
}

// remove takes away what the run must not leave, if the connection is there.
func (r *remote) remove(keep bool, started *launch) {
	if r.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := "rm -rf -- " + quote(r.folder) + "; rmdir -- " + quote(path.Dir(r.folder)) + " 2>/dev/null; :"
	if keep {
		command = "cd " + quote(r.folder) + " && rm -f -- .group"
		for name := range started.files {
			command += " " + quote(name)
		}
	}
	_ = r.ask(ctx, command, io.Discard) // what stays is removed with the next run of the step
}

// Check logs in and tells what it finds.
func (s *SSH) Check(ctx context.Context, say func(text string)) error {
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	var said strings.Builder
	err = l.ask(ctx, `echo "Connected to $(hostname 2>/dev/null || uname -n) as $(id -un)."
echo "Bash version: $BASH_VERSION"
echo "OS: $(uname -rsm)"
df -Pk "$HOME" | awk 'NR == 2 { printf "Free disk space: %d MB on %s\n", $4 / 1024, $6 }'`, &said)
	for line := range strings.Lines(said.String()) {
		say(strings.TrimSpace(line))
	}
	return err
}

// cause is why the context ended where it did, and the error otherwise.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
