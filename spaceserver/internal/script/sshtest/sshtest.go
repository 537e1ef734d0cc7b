// Package sshtest runs the machine's own OpenSSH server for tests: on loopback, with a configuration, keys and a home folder
// that are gone afterwards.
package sshtest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server is a running sshd.
type Server struct {
	Host          string
	Port          int
	Fingerprint   string // SHA256:... of its only host key
	HostKeyMD5    string // the same as older servers write it: aa:bb:...
	User          string
	PrivateKeyPEM string // lets User in
	Home          string // what $HOME is there; the session itself starts in the account's real home
	PID           int    // of the server; its sessions are its children
}

// Start runs an sshd until the test ends. Where there is none the test is skipped, in CI it fails.
func Start(t testing.TB) Server {
	t.Helper()
	program := "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no /usr/sbin/sshd: install openssh-server")
		}
		t.Skip("there is no /usr/sbin/sshd: install openssh-server")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // sshd's compiled-in folder to lock its unprivileged part into
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // as the package makes it
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := Server{Host: "127.0.0.1", User: me.Username, Home: filepath.Join(dir, "home")}
	if err := os.Mkdir(s.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	hostPEM, host := key(t)
	s.Fingerprint, s.HostKeyMD5 = ssh.FingerprintSHA256(host), ssh.FingerprintLegacyMD5(host)
	var public ssh.PublicKey
	s.PrivateKeyPEM, public = key(t)
	write(t, filepath.Join(dir, "host"), hostPEM)
	write(t, filepath.Join(dir, "authorized"), string(ssh.MarshalAuthorizedKey(public)))
	for range 5 { // another process may take the port first
		if s.listen(t, program, dir) {
			return s
		}
	}
	t.Fatal("sshd did not start")
	return s
}

func key(t testing.TB) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), k
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen starts the program and waits until it answers.
func (s *Server) listen(t testing.TB, program, dir string) bool {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	address := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	config := filepath.Join(dir, "config")
	write(t, config, fmt.Sprintf(`ListenAddress %s
HostKey %s/host
AuthorizedKeysFile %s/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PermitUserEnvironment no
PrintMotd no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv HOME=%s
`, address, dir, dir, s.Home))
	var said strings.Builder
	cmd := exec.CommandContext(context.Background(), program, "-D", "-e", "-f", config)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	deadline := time.After(10 * time.Second)
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			s.PID = cmd.Process.Pid
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			return true
		}
		select {
		case <-ended:
			t.Logf("sshd ended: %s", said.String())
			return false
		case <-deadline:
			_ = cmd.Process.Kill()
			<-ended
			t.Fatalf("sshd does not answer: %s", said.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
