package script_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"odcm/spaceserver/internal/script"
	"odcm/spaceserver/internal/script/sshclient"
	"odcm/spaceserver/internal/script/sshtest"
)

func options(s sshtest.Server) script.SSHOptions {
	return script.SSHOptions{Host: s.Host, Port: s.Port, Fingerprint: s.Fingerprint, Username: s.User, PrivateKey: s.PrivateKeyPEM, Connect: 10 * time.Second}
}

func target(t *testing.T, o script.SSHOptions) *script.SSH {
	t.Helper()
	s := script.NewSSH(o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestScriptsRunOnATarget(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	s := target(t, options(server))
	h := &heard{}
	w := script.Work{Syntax: script.Bash, Arguments: `"a b" c`, Folder: "ServerTasks-1/step-1",
		Variables: map[string]string{"Project.Name": "Web's own", "Secret": "s3cr3t"}, Sensitive: []string{"Secret"},
		Modules: map[string]string{"My Module": "greet() { echo \"greetings $1\"; }"},
		Files:   []script.File{{Name: "sub/data.txt", Mode: 0o644, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("content\n")), nil }}},
		Body: `source MyModule.sh
greet "$2"
echo "$1|$(get_octopusvariable Project.Name)|$(get_octopusvariable None)|"
cat sub/data.txt
set_octopusvariable Out "value of it" -sensitive
echo given > result.txt
new_octopusartifact result.txt "the result"
echo bad >&2
env | grep -c s3cr3t
pwd
cat
exit 7`}
	err := s.Run(t.Context(), w, h)
	var exit *script.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Fatalf("error %v", err)
	}
	folder := filepath.Join(server.Home, ".octopus/ServerTasks-1/step-1")
	wantLines(t, h.lines, "greetings c", "a b|Web's own||", "content", "Artifact the result will be collected from "+folder+"/result.txt after this step completes", "0", folder)
	wantLines(t, h.errors, "bad")
	if h.artifacts["the result"] != "given\n" {
		t.Errorf("artifacts %q", h.artifacts)
	}
	if m := h.messages[0]; m.Name != "setVariable" || m.Parameters["name"] != "Out" || m.Parameters["value"] != "value of it" || m.Parameters["sensitive"] != "True" {
		t.Errorf("message %+v", m)
	}
	if left, _ := filepath.Glob(filepath.Join(server.Home, ".octopus/*")); len(left) != 0 {
		t.Errorf("left on the target: %v", left)
	}
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFilesAreLaidOnATarget(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	s := target(t, options(server))
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	at, err := s.Upload(t.Context(), "Applications/Dev/Web/1.0/app.bin", 0o755, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(at)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes arrived at %s: %v", len(got), at, err)
	}
	if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	if at != filepath.Join(server.Home, ".octopus/Applications/Dev/Web/1.0/app.bin") {
		t.Errorf("it lies at %s", at)
	}
	var said []string
	if err := s.Check(t.Context(), func(text string) { said = append(said, text) }); err != nil || !strings.Contains(strings.Join(said, "\n"), "Free disk space: ") {
		t.Errorf("check: %v: %q", err, said)
	}
}

func TestATargetMustBeTheOneThatWasRegistered(t *testing.T) {
	t.Parallel()
	server, other := sshtest.Start(t), sshtest.Start(t)
	raw, err := ssh.ParseRawPrivateKey([]byte(server.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*raw.(*ed25519.PrivateKey), "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	closed := string(pem.EncodeToMemory(block))
	for name, change := range map[string]struct {
		with func(o *script.SSHOptions)
		want string
	}{
		"right SHA-256":             {func(*script.SSHOptions) {}, ""},
		"right SHA-256, no prefix":  {func(o *script.SSHOptions) { o.Fingerprint = strings.TrimPrefix(o.Fingerprint, "SHA256:") }, ""},
		"right MD5":                 {func(o *script.SSHOptions) { o.Fingerprint = strings.ToUpper(server.HostKeyMD5) }, ""},
		"a key in base64":           {func(o *script.SSHOptions) { o.PrivateKey = base64.StdEncoding.EncodeToString([]byte(o.PrivateKey)) }, ""},
		"a key and its passphrase":  {func(o *script.SSHOptions) { o.PrivateKey, o.Passphrase = closed, "open sesame" }, ""},
		"a key, another passphrase": {func(o *script.SSHOptions) { o.PrivateKey, o.Passphrase = closed, "open" }, "does not open its private key"},
		"a key without passphrase":  {func(o *script.SSHOptions) { o.PrivateKey = closed }, "has a passphrase, and the account none"},
		"another host's":            {func(o *script.SSHOptions) { o.Fingerprint = other.Fingerprint }, "another key than the one that this target was registered with: its fingerprint is " + server.Fingerprint},
		"none":                      {func(o *script.SSHOptions) { o.Fingerprint = "" }, "has no Fingerprint"},
		"a key that is not let in":  {func(o *script.SSHOptions) { o.PrivateKey = other.PrivateKeyPEM }, "does not let the user"},
		"a key that is none":        {func(o *script.SSHOptions) { o.PrivateKey = "nonsense" }, "cannot be read"},
		"nobody listens":            {func(o *script.SSHOptions) { o.Port = 1 }, "no connection to 127.0.0.1:1"},
		"a password where keys are": {func(o *script.SSHOptions) { o.PrivateKey, o.Password = "", "x" }, "does not let the user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(server)
			change.with(&o)
			err := target(t, o).Check(t.Context(), func(string) {})
			if change.want == "" && err != nil || change.want != "" && (err == nil || !strings.Contains(err.Error(), change.want)) {
				t.Errorf("error %v, want %q", err, change.want)
			}
		})
	}
}

func TestDiscoverTellsTheFingerprint(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	d, err := sshclient.Discover(t.Context(), server.Host, server.Port)
	if err != nil || d.Fingerprint != server.Fingerprint || d.Algorithm != "ssh-ed25519" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := sshclient.Discover(t.Context(), "127.0.0.1", 1); err == nil || !strings.Contains(err.Error(), "no connection") {
		t.Errorf("error %v", err)
	}
}

func TestCancelLeavesNothingOnATarget(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	s := target(t, options(server))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the task was canceled")
	h := &watching{on: "ready", then: func() { cancel(reason) }}
	mark := "31536" + strconv.Itoa(server.Port)
	err := s.Run(ctx, script.Work{Syntax: script.Bash, Body: "setsid sleep " + mark + " & (setsid sleep " + mark + " &) ; nohup sleep " + mark + " >/dev/null 2>&1 & sleep 0.1; echo ready; sleep " + mark}, h)
	if !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
	if n := len(marked(mark)); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if left, _ := filepath.Glob(filepath.Join(server.Home, ".octopus/*")); len(left) != 0 {
		t.Errorf("left on the target: %v", left)
	}
	if err := s.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "true"}, &heard{}); err != nil {
		t.Errorf("the place is of no use afterwards: %v", err)
	}
}

func TestAnUploadThatIsCanceledLeavesTheConnection(t *testing.T) {
	t.Parallel()
	s := target(t, options(sshtest.Start(t)))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the task was canceled")
	_, err := s.Upload(ctx, "endless", 0o600, endless{func() { cancel(reason) }})
	if !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
	if _, err := s.Upload(t.Context(), "small", 0o600, strings.NewReader("x")); err != nil {
		t.Errorf("the place is of no use afterwards: %v", err)
	}
}

// endless is content without an end, and tells when it is read.
type endless struct{ read func() }

func (e endless) Read(p []byte) (int, error) {
	e.read()
	return len(p), nil
}

func TestALostConnectionFailsWithTheReason(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	s := target(t, options(server))
	h := &watching{on: "ready", then: func() {
		// The server's child for this connection is killed, as a host that breaks down.
		out, err := exec.Command("pkill", "-KILL", "-P", strconv.Itoa(server.PID)).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}}
	err := s.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "echo ready; sleep 20"}, h)
	if err == nil || !strings.Contains(err.Error(), "the connection to "+server.Host) || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("error %v", err)
	}
	if err := s.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "true"}, &heard{}); err != nil {
		t.Errorf("it does not connect again: %v", err)
	}
}

func TestAHostThatFallsSilentIsLost(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	o := options(server)
	silence := make(chan struct{})
	o.Port, o.Silence = between(t, net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), silence), time.Second
	h := &watching{on: "ready", then: func() { close(silence) }}
	err := target(t, o).Run(t.Context(), script.Work{Syntax: script.Bash, Body: "echo ready; sleep 20"}, h)
	if err == nil || !strings.Contains(err.Error(), "was lost: it has not answered for 1s") {
		t.Errorf("error %v", err)
	}
}

// between passes bytes on to an address until the silence begins: from then on they are swallowed.
func between(t *testing.T, address string, silence <-chan struct{}) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pass := func(to, from net.Conn) {
		defer to.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			select {
			case <-silence:
			default:
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestWhatAScriptLeavesRunningOnATargetGoesOn(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t)
	s := target(t, options(server))
	mark := "31537" + strconv.Itoa(server.Port)
	began := time.Now()
	if err := s.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "setsid sleep " + mark + " & echo started"}, &heard{}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the run waited %s for what it left", took)
	}
	if n := len(marked(mark)); n != 1 {
		t.Errorf("%d processes are left, want 1", n)
	}
	for _, pid := range marked(mark) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// watching calls then once a line is heard.
type watching struct {
	heard
	on   string
	then func()
}

func (w *watching) Line(stderr bool, text string) {
	w.heard.Line(stderr, text)
	if text == w.on {
		w.then()
	}
}

// marked are the processes that sleep for as long as the mark says.
func marked(mark string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.HasPrefix(line, []byte("sleep\x00"+mark)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}
