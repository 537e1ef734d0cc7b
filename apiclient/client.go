// Package apiclient calls ODCM's REST interface. Errors are [*odcm.Error] with the kind, code and fields that the manager
// sent, so that a caller tells them apart as the manager itself does.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/api"
)

const (
	maxAnswer = 16 << 20    // bytes that are read of one answer
	within    = time.Minute // how long an answer may take; of one that is copied to a writer, its beginning
)

// Client calls one manager. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	key       string
	userAgent string
	http      *http.Client
}

// Options say which manager and as whom.
type Options struct {
	URL       string       // "https://odcm.example.com"
	APIKey    string       // "odcm_..."; "" for what needs none
	UserAgent string       // "odcm-cli/1.2.3"
	HTTP      *http.Client // one of its own if nil; redirects are never followed
}

// New makes a client; it does not call the manager.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, odcm.E(odcm.Invalid, "client.url", "%q is not the URL of a manager; want, say, https://odcm.example.com", o.URL)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := &Client{base: base, key: o.APIKey, userAgent: o.UserAgent, http: &http.Client{}}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	}
	// net/http would take the key along to another port of the same host, and a password to anywhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// call is one request. Its zero fields are left out.
type call struct {
	method, path string
	query        url.Values
	in           any
	ifMatch      int64  // revision
	idempotency  string // key under which the manager does it once
	ifNoneMatch  string // entity tag of the answer that the caller has
}

// do sends the call and decodes the answer into out, unless out is nil or an io.Writer, which gets the bytes.
func (c *Client) do(ctx context.Context, r call, out any) error {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(within, func() { cancel(errLate) })
	defer late.Stop()
	res, err := c.send(limited, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return problem(res)
	}
	if w, ok := out.(io.Writer); ok {
		late.Stop() // it takes as long as it takes
		_, err := io.Copy(w, res.Body)
		return err
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	body := io.LimitReader(res.Body, maxAnswer)
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return odcm.E(odcm.Unavailable, "client.answer", "%s did not answer as ODCM does", c.base).Because(err)
	}
	return nil
}

var errLate = errors.New("no answer within " + within.String())

func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	var body io.Reader
	if r.in != nil {
		b, err := json.Marshal(r.in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	u := *c.base
	u.Path += "/api/v1" + r.path
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("User-Agent", c.userAgent)
	set("Idempotency-Key", r.idempotency)
	set("If-None-Match", r.ifNoneMatch)
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != 0 {
		req.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(r.ifMatch, 10)))
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errLate) {
			return nil, ctx.Err()
		}
		if ctx.Err() != nil {
			err = errLate
		}
		return nil, odcm.E(odcm.Unavailable, "client.unreachable", "the manager at %s does not answer: %v", c.base, cause(err)).Because(err)
	}
	return res, nil
}

// cause takes the URL out of an HTTP error: it is said already.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// problem reads an error answer (RFC 9457).
func problem(res *http.Response) error {
	if to, err := res.Location(); err == nil && res.StatusCode < 400 {
		return odcm.E(odcm.Unavailable, "client.redirected", "%s redirects to %s: if that is your manager, use its address", res.Request.URL.Host,
			(&url.URL{Scheme: to.Scheme, Host: to.Host}).String())
	}
	var p api.Problem
	err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&p)
	if err != nil || p.Kind == "" {
		return odcm.E(odcm.Unavailable, "client.answer", "%s answered %s, and not as ODCM does", res.Request.URL.Host, res.Status)
	}
	e := odcm.E(odcm.Kind(p.Kind), p.Code, "%s", p.Detail)
	for _, f := range p.Errors {
		e.Fields = append(e.Fields, odcm.FieldError{Field: strings.TrimPrefix(f.Location, "body."), Message: f.Message})
	}
	return e
}

// list yields every item of a paged list, fetching pages as they are needed.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := url.Values{}
		for name, values := range query {
			q[name] = values
		}
		for {
			var page api.Page[T]
			if err := c.do(ctx, call{method: http.MethodGet, path: path, query: q}, &page); err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("cursor", page.Next)
		}
	}
}

// Collect gathers what an iterator yields, up to limit items; 0 is all.
func Collect[T any](seq iter.Seq2[T, error], limit int) ([]T, error) {
	var all []T
	for item, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, item)
		if limit > 0 && len(all) == limit {
			break
		}
	}
	return all, nil
}

func escape(id any) string { return url.PathEscape(fmt.Sprint(id)) }
