package directory

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

func (d *Domain) kinit(ctx context.Context, env []string, name, password string) error {
	c := exec.CommandContext(ctx, "kinit", name+"@"+Realm)
	c.Env = append(os.Environ(), env...)
	c.Stdin = strings.NewReader(password + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("kinit %s: %w: %s", name, err, out)
	}
	return nil
}

// Negotiate asks for the path of a server that listens at the address, under the name of [ServicePrincipal], with the ticket
// of the environment, and returns what curl wrote: headers and body.
func Negotiate(ctx context.Context, env []string, address, path string, args ...string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	name := strings.TrimPrefix(ServicePrincipal, "HTTP/")
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(name, port), Path: path}
	c := exec.CommandContext(ctx, "curl", append([]string{"-sS", "-i", "--max-time", "20", "--negotiate", "-u", ":",
		"--resolve", name + ":" + port + ":" + host, u.String()}, args...)...)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("curl: %w: %s", err, out)
	}
	return string(out), nil
}
