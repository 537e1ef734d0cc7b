package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"

	"golang.org/x/net/idna"

	"odcm"
)

// Dial connects to the server at the address, with TLS where its scheme is https, by the rules of [Guard.Client]: for callers that
// hold thousands of connections, which net/http has no lean way to do. The connection speaks HTTP/1.1 and nothing over it is
// bounded: give it deadlines, and count what is read. [Explain] puts later failures into words.
func (g *Guard) Dial(ctx context.Context, settings TLS, u *url.URL) (net.Conn, error) {
	t, err := g.transport(settings)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, odcm.E(odcm.Invalid, "egress.failed", "ODCM connects to addresses that begin with https:// or http:// only.")
	}
	conn, err := g.dial(ctx, t.plain, u)
	if err != nil {
		return nil, Explain(u, err)
	}
	return conn, nil
}

func (g *Guard) dial(ctx context.Context, config *tls.Config, u *url.URL) (net.Conn, error) {
	host := u.Hostname()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil { // else it is an address, or the look-up says what is wrong
		host = ascii
	}
	conn, err := g.dialer().DialContext(ctx, "tcp", net.JoinHostPort(host, port(u)))
	if err != nil || u.Scheme == "http" {
		return conn, err
	}
	config = config.Clone()
	config.ServerName = host
	secure := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, g.limits.Handshake)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}
