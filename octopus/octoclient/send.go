package octoclient

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/octopus"
)

// answer is a successful answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) object(c *Client) (octopus.Object, error) {
	o, err := octopus.ParseObject(a.body)
	if err != nil {
		return o, c.notOctopus(a).Because(err)
	}
	return o, nil
}

// send does one request, as often as it takes and is right.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (answer, error) {
	u, err := c.resolve(path)
	if err != nil {
		return answer{}, err
	}
	for attempt := 1; ; attempt++ {
		a, err := c.attempt(ctx, method, u, body)
		if err != nil {
			return answer{}, c.unreachable(err)
		}
		if a.status < 300 || method == http.MethodDelete && a.status == http.StatusNotFound && attempt > 1 {
			return a, nil // the deletion that seemed to fail did happen
		}
		wait := c.retryIn(a, attempt)
		if a.status == http.StatusTooManyRequests {
			c.budget.limited(wait)
		}
		if !repeatable(method, a.status) || attempt >= c.options.Attempts || wait > c.options.MaxWait || endsWithin(ctx, wait) {
			return answer{}, c.failure(a)
		}
		c.budget.retried()
		if err := sleep(ctx, wait); err != nil {
			return answer{}, c.unreachable(err)
		}
	}
}

// endsWithin tells whether the context's deadline is over before the time is.
func endsWithin(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < d
}

// attempt sends the request once and reads the answer, within the server's budget.
func (c *Client) attempt(ctx context.Context, method string, u *url.URL, body []byte) (a answer, err error) {
	release, err := c.budget.Acquire(ctx, c.priority)
	if err != nil {
		return a, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	r := (&http.Request{Method: method, URL: u, Header: c.header()}).WithContext(ctx)
	if body != nil {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.ContentLength = int64(len(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	start := time.Now()
	res, err := c.http.Do(r)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a = answer{status: res.StatusCode, header: res.Header}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, c.options.MaxBody+1))
	if int64(len(a.body)) > c.options.MaxBody {
		return a, odcm.E(odcm.Invalid, "octopus.too-large", "The answer of %s is larger than %d bytes. Ask for less at once.", c.base.Host, c.options.MaxBody)
	}
	c.options.Logger.LogAttrs(ctx, slog.LevelDebug, "octopus request", slog.String("server", c.base.Host), slog.String("method", method),
		slog.String("path", u.Path), slog.Int("status", a.status), slog.Duration("took", time.Since(start)))
	return a, err
}

// resolve makes the address of a route or a link. Links of a server in a virtual directory begin with it, routes do not.
func (c *Client) resolve(path string) (*url.URL, error) {
	u, err := url.Parse("/" + strings.TrimLeft(path, "/"))
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "octopus.url", "%q is not a path of the API.", plain(path)).Because(err)
	}
	u.Scheme, u.Host, u.Fragment = c.base.Scheme, c.base.Host, ""
	if c.base.Path != "" && !strings.HasPrefix(u.Path, c.base.Path+"/") {
		if u.RawPath != "" {
			u.RawPath = c.base.EscapedPath() + u.RawPath
		}
		u.Path = c.base.Path + u.Path
	}
	return u, nil
}

// plain is a path without its query, for errors.
func plain(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// repeatable tells whether the request may be sent again: its method is idempotent (RFC 9110 section 9.2.2) and the server
// asks for it. A connection that broke is not repeated here; net/http does so where nothing was sent.
func repeatable(method string, status int) bool {
	return method != http.MethodPost && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable)
}

// retryIn tells how long to wait: as the server says, plus a little so that those who were turned away together do not
// come back together; otherwise a growing time.
func (c *Client) retryIn(a answer, attempt int) time.Duration {
	if wait, ok := retryAfter(a.header, time.Now()); ok {
		return wait + rand.N(wait/10+50*time.Millisecond) // spreads load, keeps no secret
	}
	return backoff(attempt)
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent // the server's clock, since the date is by it
	}
	return max(0, at.Sub(now)), true
}

// backoff grows from a quarter of a second by powers of two to eight seconds, half of it random.
func backoff(attempt int) time.Duration {
	d := min(250*time.Millisecond<<min(attempt-1, 10), 8*time.Second)
	return d/2 + rand.N(d/2) // spreads load, keeps no secret
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
