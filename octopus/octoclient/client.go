package octoclient

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/octopus"
)

// MinimumVersion is the oldest Octopus server that ODCM works with: the first whose long-term support has spaces,
// scoped teams and the event cursor (fromAutoId) as they are today.
const MinimumVersion octopus.Version = "2020.1.0"

// Options describe a server and how to treat it. Only URL must be set.
type Options struct {
	URL    string     // of the server, as people type it: a trailing /app, /api or # part is cut off
	APIKey string     `json:"-"` // "API-..."; "" can only ask Root and Ping
	TLS    egress.TLS // whom to trust

	Guard   *egress.Guard // shared by all clients of a program; nil: one of its own with the zero policy
	Budgets *Budgets      // likewise; nil: one of its own with default limits

	// Transport sends, where the caller holds connections of its own; nil: the guard's. What it connects to, the guard must allow.
	Transport http.RoundTripper

	Timeout  time.Duration // of one attempt [60 s]
	Attempts int           // of one request, at most [4]
	MaxWait  time.Duration // for a Retry-After; where the server asks for more, the request fails at once [30 s]
	MaxBody  int64         // bytes of an answer [64 MiB, and never more than the guard's]

	UserAgent string       // [odcm]
	Logger    *slog.Logger // requests at level debug: method, path, status, duration; nil: none
}

// Format keeps the key out of anything printed.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{%s}", o.URL) }

// Client talks to one server. It is safe for concurrent use and needs no closing.
type Client struct {
	base      *url.URL
	http      *http.Client
	transport http.RoundTripper
	header    func() http.Header // a func, so that no %+v of a Client shows the key
	ping      *http.Request
	budget    *Budget
	priority  Priority
	options   Options // without the key
}

// New makes a client. It connects to nothing yet. Its errors are of kind Invalid, on field "url", "apiKey", "ca" or
// "thumbprint".
func New(o Options) (*Client, error) {
	base, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	key := o.APIKey
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, odcm.E(odcm.Invalid, "octopus.key", "The API key has a character that no key has: copy it again.").OnField("apiKey")
	}
	o.APIKey = ""
	if o.Guard == nil {
		o.Guard = egress.New(egress.Policy{}, egress.Limits{})
	}
	if o.Budgets == nil {
		o.Budgets = NewBudgets(Limits{})
	}
	o.setDefaults()
	hc, err := o.Guard.Client(o.TLS)
	if err != nil {
		return nil, err
	}
	if o.Transport != nil {
		hc.Transport = o.Transport
	}
	agent := o.UserAgent
	ping, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base.String()+octopus.PingRoute, nil)
	if err != nil {
		return nil, err
	}
	ping.Header = http.Header{"User-Agent": {agent}, "Accept": {"application/json"}}
	return &Client{
		base:      base,
		http:      hc,
		transport: hc.Transport,
		header: func() http.Header {
			h := http.Header{"User-Agent": {agent}, "Accept": {"application/json"}}
			if key != "" {
				h.Set(octopus.APIKeyHeader, key)
			}
			return h
		},
		ping:    ping,
		budget:  o.Budgets.For(base),
		options: o,
	}, nil
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Attempts <= 0 {
		o.Attempts = 4
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 30 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 20
	}
	if o.UserAgent == "" {
		o.UserAgent = "odcm"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// ParseURL reads a server's address as people type or paste it, and brings it into one form: scheme and host in lower
// case, no default port, no trailing slash, nothing of the pages (/app#/...) or the API (/api).
func ParseURL(s string) (*url.URL, error) {
	invalid := func(what string) error {
		return odcm.E(odcm.Invalid, "octopus.url", "The URL %s, for instance https://octopus.example.com.", what).OnField("url")
	}
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil:
		return nil, invalid("cannot be read: give the address of the Octopus server")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("must begin with https:// or http://")
	case u.Hostname() == "":
		return nil, invalid("has no host: give the address of the Octopus server")
	case u.User != nil:
		return nil, invalid("must not hold a user or password: give the API key apart")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	path := strings.TrimRight(u.Path, "/")
	for strings.HasSuffix(path, "/app") || strings.HasSuffix(path, "/api") {
		path = strings.TrimRight(path[:len(path)-len("/app")], "/")
	}
	return &url.URL{Scheme: u.Scheme, Host: host, Path: path}, nil
}

// Background returns a client of the same server whose requests wait for those of people.
func (c *Client) Background() *Client {
	background := *c
	background.priority = Background
	return &background
}

// URL returns the server's address in the form of [ParseURL].
func (c *Client) URL() string { return c.base.String() }

// String is the server's address.
func (c *Client) String() string { return c.URL() }

// Budget returns the budget that the client shares with all others of its server.
func (c *Client) Budget() *Budget { return c.budget }

// Get reads a resource. Path is a route ([octopus.Route]) or a link of a resource.
func (c *Client) Get(ctx context.Context, path string) (_ octopus.Object, err error) {
	defer odcm.Wrap(&err, "get %s", plain(path))
	a, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return octopus.Object{}, err
	}
	return a.object(c)
}

// Post creates a resource or triggers something, and returns what the server answers. It is never repeated. A nil body
// sends none.
func (c *Client) Post(ctx context.Context, path string, body json.Marshaler) (_ octopus.Object, err error) {
	defer odcm.Wrap(&err, "post %s", plain(path))
	return c.change(ctx, http.MethodPost, path, body)
}

// Put replaces a resource. Send all of it, as the server gave it: see [Client.Update].
func (c *Client) Put(ctx context.Context, path string, body json.Marshaler) (_ octopus.Object, err error) {
	defer odcm.Wrap(&err, "put %s", plain(path))
	return c.change(ctx, http.MethodPut, path, body)
}

// Delete removes a resource. Some kinds answer with the task that does it; most with nothing.
func (c *Client) Delete(ctx context.Context, path string) (_ octopus.Object, err error) {
	defer odcm.Wrap(&err, "delete %s", plain(path))
	return c.change(ctx, http.MethodDelete, path, nil)
}

// Raw reads what is not a JSON object: a task's log, a package, an array.
func (c *Client) Raw(ctx context.Context, path string) (_ []byte, err error) {
	defer odcm.Wrap(&err, "get %s", plain(path))
	a, err := c.send(ctx, http.MethodGet, path, nil)
	return a.body, err
}

func (c *Client) change(ctx context.Context, method, path string, body json.Marshaler) (octopus.Object, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = body.MarshalJSON(); err != nil {
			return octopus.Object{}, err
		}
	}
	a, err := c.send(ctx, method, path, raw)
	if err != nil {
		return octopus.Object{}, err
	}
	if len(strings.TrimSpace(string(a.body))) == 0 {
		return octopus.Object{}, nil
	}
	return a.object(c)
}

// updates is how often Update reads anew before it leaves the conflict to the caller.
const updates = 4

// Update changes a resource: it gets it, lets change work on it, and puts the server's own JSON with that change, so that
// fields which ODCM does not know stay. Where someone else changed the resource in between, it starts again; change must
// therefore decide from the object that it is given, and may run several times. Where change changes nothing, nothing is
// put. An error of change ends it and is returned.
func (c *Client) Update(ctx context.Context, path string, change func(*octopus.Object) error) (octopus.Object, error) {
	for attempt := 1; ; attempt++ {
		read, err := c.Get(ctx, path)
		if err != nil {
			return octopus.Object{}, err
		}
		changed := read.Clone()
		if err := change(&changed); err != nil {
			return octopus.Object{}, err
		}
		if same(read, changed) {
			return read, nil
		}
		put, err := c.Put(ctx, path, changed)
		if err == nil || odcm.KindOf(err) != odcm.Conflict || attempt == updates {
			return put, err
		}
		if err := sleep(ctx, backoff(attempt)); err != nil {
			return octopus.Object{}, err
		}
	}
}

func same(a, b octopus.Object) bool {
	x, errX := a.MarshalJSON()
	y, errY := b.MarshalJSON()
	return errX == nil && errY == nil && string(x) == string(y)
}
