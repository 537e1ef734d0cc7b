package egress

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"

	"odcm"
)

// transport sends over one pool of connections, explains failures and bounds answers.
type transport struct {
	http  *http.Transport
	plain *tls.Config // of connections without net/http
	limit int64
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.http.RoundTrip(r)
	if err != nil {
		return nil, Explain(r.URL, err)
	}
	if res.ContentLength > t.limit {
		res.Body.Close()
		return nil, tooLarge(t.limit)
	}
	if res.Body != http.NoBody {
		res.Body = &bounded{ReadCloser: res.Body, url: r.URL, left: t.limit, limit: t.limit}
	}
	return res, nil
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] work.
func (t *transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

// bounded fails a body that goes on for too long. Unlike [io.LimitReader] it tells the end from the limit.
type bounded struct {
	io.ReadCloser
	url         *url.URL
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, tooLarge(b.limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = Explain(b.url, err)
	}
	return n, err
}

func tooLarge(limit int64) error {
	return odcm.E(odcm.Invalid, "egress.too-large", "The server's answer is larger than %d bytes, which is all that ODCM reads.", limit)
}

// sameOrigin is the rule for redirects: within the origin, a few, and only where the request has no body to lose.
func sameOrigin(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case next.URL.Scheme != first.URL.Scheme || hostPort(next.URL) != hostPort(first.URL):
		return redirected(next.URL, "to another place. If it is right, give that address instead")
	case first.Method != http.MethodGet && first.Method != http.MethodHead:
		return redirected(next.URL, "away from a change. Give the address at which the server answers itself")
	case len(via) > 5:
		return redirected(next.URL, "again and again. Look at the server's or the proxy's settings")
	}
	return nil
}

func hostPort(u *url.URL) string { return u.Hostname() + ":" + port(u) }

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// redirected says where the server pointed, without query and user, which may hold secrets.
func redirected(to *url.URL, what string) error {
	shown := url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	return odcm.E(odcm.Invalid, "egress.redirect", "The server redirected to %s, %s.", shown.String(), what)
}
