package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What every domain is called, and what is in it.
const (
	Realm    = "ODCM.TEST"
	DNSName  = "odcm.test"
	NetBIOS  = "ODCM"
	Base     = "DC=odcm,DC=test"
	Host     = "dc1.odcm.test"
	Password = "Us3r-Passw0rd!" // of every person

	Administrator = "Administrator@odcm.test"
	adminPassword = "Adm1n-Passw0rd!"

	// Service reads the directory, and is the account of ServicePrincipal.
	Service          = "svc-odcm@odcm.test"
	ServicePrincipal = "HTTP/odcm.odcm.test"

	// Many is how many people there are in OU=Many, named many0001 and so on.
	Many = 2500
)

// Domain is a domain that runs.
type Domain struct {
	Address string // "127.77.0.10"
	CA      string // PEM, of the authority that issued the controller's certificate
	Keytab  []byte // keys of ServicePrincipal

	dir  string
	lock *os.File
	proc *exec.Cmd
	gone chan struct{} // the process has ended

	mu     sync.Mutex
	closed bool
}

// seedVersion is changed when what the domains hold changes.
const seedVersion = 1

const (
	firstAddress = 10 // 127.77.0.10
	addresses    = 12
	startWithin  = time.Minute
)

// Start runs a domain until the test ends.
func Start(t testing.TB) *Domain {
	t.Helper()
	Need(t)
	d, err := Open(context.Background(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Need skips the test where a domain cannot run here, or fails it where CI is set.
func Need(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a domain controller")
	}
	why := Missing()
	if why == "" {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Missing says what a domain needs that is not here; "" where it can run.
func Missing() string {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return "a domain controller needs root on Linux, for its ports"
	}
	for _, program := range []string{"samba", "samba-tool", "kinit", "curl", "cp"} {
		if _, err := exec.LookPath(program); err != nil {
			return "a domain controller needs samba and krb5-user: there is no " + program
		}
	}
	if _, err := os.Stat("/usr/share/samba/setup"); err != nil {
		return "a domain controller needs the package samba-ad-provision"
	}
	return ""
}

// Open runs a domain on an address that nobody uses.
func Open(ctx context.Context, log *slog.Logger) (*Domain, error) {
	for n := firstAddress; n < firstAddress+addresses; n++ {
		d, err := claim(n)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if err := d.up(ctx, log); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		return d, nil
	}
	return nil, errors.New("every address for a domain is in use")
}

// runFolder is in memory where that is possible: a controller writes with fsync.
func runFolder() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// claim takes the address, nil where another process has it.
func claim(n int) (*Domain, error) {
	address := "127.77.0." + strconv.Itoa(n)
	dir := filepath.Join(runFolder(), "odcm-directory-"+strconv.Itoa(n))
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, lock.Close()
	}
	d := &Domain{Address: address, dir: dir, lock: lock}
	return d, d.endLeftover()
}

// endLeftover ends a controller whose test was killed: the lock says that nobody needs it.
func (d *Domain) endLeftover() error {
	text, err := os.ReadFile(d.path("samba.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	folder, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)) // the controller names itself anew, so its command line tells nothing
	if err != nil || folder != d.dir {
		return nil
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond) // its ports are free once it is gone
	defer tick.Stop()
	for range 500 {
		if syscall.Kill(-pid, 0) != nil {
			return nil
		}
		<-tick.C
	}
	return fmt.Errorf("the domain controller %d of an earlier run does not end", pid)
}

func (d *Domain) path(name string) string { return filepath.Join(d.dir, name) }

// up brings the domain to run: from what is kept, or from nothing.
func (d *Domain) up(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 5*startWithin)
	defer cancel()
	kept, err := d.kept(ctx)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	if _, err := os.Stat(kept); err == nil {
		if err := run(ctx, nil, "cp", "-a", kept, d.dir); err != nil {
			return err
		}
		return d.start(ctx)
	}
	log.Info("provisioning a domain, once on this machine", "address", d.Address)
	if err := d.provision(ctx); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.seed(ctx); err != nil {
		return fmt.Errorf("seed the domain: %w", err)
	}
	if err := d.stop(); err != nil {
		return err
	}
	if err := d.keep(ctx, kept); err != nil {
		return err
	}
	return d.start(ctx)
}

// kept is the folder of a domain that was provisioned before, for this address and these programs.
func (d *Domain) kept(ctx context.Context) (string, error) {
	version, err := exec.CommandContext(ctx, "samba", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("samba --version: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(string(version)))
	return filepath.Join(cache, "odcm-test-directory", fmt.Sprintf("%s-seed%d", name, seedVersion), filepath.Base(d.dir)), nil
}

// keep copies the domain for later starts; that it is there at all says that it is complete.
func (d *Domain) keep(ctx context.Context, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	partial := to + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := run(ctx, nil, "cp", "-a", "--sparse=always", d.dir, partial); err != nil {
		return err
	}
	for _, name := range []string{"run", "samba.pid", "samba.log", "msg.sock", "msg.lock"} {
		if err := os.RemoveAll(filepath.Join(partial, name)); err != nil {
			return err
		}
	}
	return os.Rename(partial, to)
}

// start runs the controller and waits until it answers.
func (d *Domain) start(ctx context.Context) error {
	if err := d.certify(); err != nil {
		return err
	}
	keytab, err := os.ReadFile(d.path("http.keytab"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a domain without people has none yet
		return err
	}
	d.Keytab = keytab
	if err := os.MkdirAll(d.path("run"), 0o755); err != nil {
		return err
	}
	log, err := os.Create(d.path("samba.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d.proc = exec.Command("samba", "-s", d.path("etc/smb.conf"), "-i", "-M", "single", "--no-process-group")
	d.proc.Dir, d.proc.Stdout, d.proc.Stderr = d.dir, log, log
	d.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.proc.Start(); err != nil {
		return err
	}
	d.gone = make(chan struct{})
	go func(c *exec.Cmd, gone chan struct{}) {
		_ = c.Wait() // it is ended by a signal
		close(gone)
	}(d.proc, d.gone)
	if err := os.WriteFile(d.path("samba.pid"), []byte(strconv.Itoa(d.proc.Process.Pid)), 0o600); err != nil {
		return err
	}
	return d.ready(ctx)
}

func (d *Domain) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := d.answers()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-d.gone:
			return fmt.Errorf("the domain controller ended: %s", d.tail())
		case <-ctx.Done():
			return fmt.Errorf("the domain controller does not answer: %w: %s", err, d.tail())
		}
	}
}

// answers tells whether every service of the controller does.
func (d *Domain) answers() error {
	for _, port := range []string{"88", "389"} {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(d.Address, port), time.Second)
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	c, err := d.admin()
	if err != nil {
		return err
	}
	return c.Close()
}

// tail is the end of the controller's log.
func (d *Domain) tail() string {
	f, err := os.Open(d.path("samba.log"))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 2000 {
		_, _ = f.Seek(-2000, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

// Stop ends the controller as a power cut would; Restart brings it back.
func (d *Domain) Stop() error { return d.stop() }

// Restart runs the controller again after Stop.
func (d *Domain) Restart(ctx context.Context) error { return d.start(ctx) }

func (d *Domain) stop() error {
	if d.proc == nil {
		return nil
	}
	pid := d.proc.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGTERM)
	select {
	case <-d.gone:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // its children
	<-d.gone
	d.proc = nil
	return nil
}

// Close ends the domain and gives its address back.
func (d *Domain) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return errors.Join(d.stop(), os.RemoveAll(d.dir), d.lock.Close())
}

// run runs a program and returns what it said where it failed.
func run(ctx context.Context, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	if env != nil {
		c.Env = append(os.Environ(), env...)
	}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
