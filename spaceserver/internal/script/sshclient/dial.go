// Package sshclient connects to hosts by SSH: the host proves itself by the fingerprint that it was registered with, then the
// user logs in, and commands run whose end is told apart from that of their output.
package sshclient

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"odcm/spaceserver/internal/problem"
)

// Options say how a target is reached and who logs in there.
type Options struct {
	Host             string
	Port             int    // 22 if 0
	Fingerprint      string // of the host's key, as the endpoint keeps it
	HostKeyAlgorithm string // that the fingerprint is of, if known: "ssh-ed25519"
	Username         string
	Password         string
	PrivateKey       string // a PEM file, or one in base64 as Octopus keeps it
	Passphrase       string // of the private key
	// Connect is how long connecting and logging in may take; 1 minute if 0, as machine policies have it.
	Connect time.Duration
	// Silence is how long the host may leave a question unanswered before the connection counts as lost; 45 s if 0.
	Silence time.Duration
	// Output is how many bytes of one script's output are passed on; 20 MiB if 0.
	Output int64
}

// WithDefaults fills in what is zero.
func (o Options) WithDefaults() Options {
	o.Port, o.Connect, o.Silence = cmp.Or(o.Port, 22), cmp.Or(o.Connect, time.Minute), cmp.Or(o.Silence, 45*time.Second)
	return o
}

// Address is host and port.
func (o *Options) Address() string { return net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) }

// methods are the ways to log in.
func (o *Options) methods() ([]ssh.AuthMethod, error) {
	if o.PrivateKey == "" {
		password := ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = o.Password
			}
			return answers, nil
		})
		return []ssh.AuthMethod{ssh.Password(o.Password), password}, nil
	}
	text := strings.TrimSpace(o.PrivateKey)
	if !strings.HasPrefix(text, "-----BEGIN") {
		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = string(decoded)
		}
	}
	signer, err := ssh.ParsePrivateKey([]byte(text))
	if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
		if o.Passphrase == "" {
			return nil, problem.Invalid("The account's private key has a passphrase, and the account none.")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(text), []byte(o.Passphrase)); err != nil {
			return nil, problem.Invalid("The account's passphrase does not open its private key.").Because(err)
		}
	}
	if err != nil {
		// The cause could quote the key.
		return nil, problem.Invalid("The account's private key cannot be read: it must be a PEM file, as ssh-keygen makes it. PuTTY's own format has to be exported to that.")
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
}

// Dial connects and logs in. The host proves itself before anything is told to it.
func (o *Options) Dial(ctx context.Context) (*ssh.Client, error) {
	if o.Fingerprint == "" {
		return nil, problem.Invalid("The endpoint has no Fingerprint of the host's key: discover the target, compare the fingerprint and save it.")
	}
	methods, err := o.methods()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Connect, fmt.Errorf("%s did not answer within %s", o.Address(), o.Connect))
	defer cancel()
	wrong := &mismatch{}
	for _, family := range familiesFor(o.HostKeyAlgorithm) {
		var key ssh.PublicKey
		client, err := handshake(ctx, o.Address(), &ssh.ClientConfig{User: o.Username, Auth: methods, HostKeyAlgorithms: family,
			HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
				if key = shown; !matches(shown, o.Fingerprint) {
					return wrong
				}
				return nil
			}})
		var negotiation *ssh.AlgorithmNegotiationError
		switch {
		case err == nil:
			return client, nil
		case errors.As(err, &negotiation) && strings.Contains(err.Error(), "host key"):
			continue // the host has no key of this kind
		case key != nil && !matches(key, o.Fingerprint):
			wrong.shown = append(wrong.shown, ssh.FingerprintSHA256(key))
			continue // another of its keys may be meant
		case key != nil && strings.Contains(err.Error(), "unable to authenticate"):
			return nil, fmt.Errorf("%s does not let the user '%s' in with what the account holds: %w", o.Address(), o.Username, err)
		}
		return nil, fmt.Errorf("no connection to %s: %w", o.Address(), err)
	}
	if len(wrong.shown) == 0 {
		return nil, fmt.Errorf("%s has no host key of a kind that is safe to use: ed25519, ECDSA or RSA with SHA-2", o.Address())
	}
	return nil, wrong
}

// handshake connects within the context.
func handshake(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, cause(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if !stop() || err != nil {
		_ = conn.Close() // the handshake failed or was broken off
		return nil, cause(ctx, cmp.Or(err, context.Cause(ctx)))
	}
	return ssh.NewClient(c, channels, requests), nil
}

// cause is why the context ended where it did, and the error otherwise.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Discovered is what a host tells before anybody logs in.
type Discovered struct {
	Fingerprint string // SHA256:...
	Algorithm   string // "ssh-ed25519"
}

// Discover asks a host for its key. Nobody logs in.
func Discover(ctx context.Context, host string, port int) (d Discovered, err error) {
	address := net.JoinHostPort(host, strconv.Itoa(cmp.Or(port, 22)))
	enough := errors.New("the key is all that was asked for")
	for _, family := range families {
		_, err = handshake(ctx, address, &ssh.ClientConfig{User: "octopus", HostKeyAlgorithms: family,
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				d = Discovered{ssh.FingerprintSHA256(key), key.Type()}
				return enough
			}})
		if d.Fingerprint != "" {
			return d, nil
		}
		var negotiation *ssh.AlgorithmNegotiationError
		if !errors.As(err, &negotiation) {
			break
		}
	}
	return d, fmt.Errorf("no connection to %s: %w", address, err)
}
