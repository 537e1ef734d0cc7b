package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// postgres is a server of PostgreSQL that runs for the measurement only.
type postgres struct {
	port int
	run  func(program string, args ...string) error
	stop func()
}

// startPostgres starts one on loopback, as durable as it is by default, where this machine has it.
func startPostgres() (p postgres, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return p, errors.New("there is no PostgreSQL on this machine")
	}
	bin := found[len(found)-1]
	dir, err := os.MkdirTemp("/var/tmp", "odcm-bench-pg-") // on disk: durable means something
	if err != nil {
		return p, err
	}
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return p, fmt.Errorf("root cannot run PostgreSQL, and there is no user postgres: %w", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return p, err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	p.run = func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr, cmd.Dir = attr, dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return p, err
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	data := filepath.Join(dir, "data")
	p.stop = func() {
		_ = p.run("pg_ctl", "-D", data, "-m", "immediate", "stop")
		_ = os.RemoveAll(dir)
	}
	if err := p.run("initdb", "-D", data, "-U", "odcm", "-A", "trust", "-E", "UTF8", "--locale=C"); err != nil {
		return p, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", p.port), "start"); err != nil {
		return p, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// create makes a database and returns its URL. Each manager needs one of its own: its keys are sealed with its own key file.
func (p postgres) create(name string) (url string, err error) {
	name = strings.ToLower(name)
	return fmt.Sprintf("postgres://odcm@127.0.0.1:%d/%s?sslmode=disable", p.port, name),
		p.run("createdb", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", "odcm", name)
}
