package alertsend

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/alert/receiver"
)

// once sends one request through the guard and remembers how it went: the services retry by themselves, and their errors hold
// the URL.
type once struct {
	ctx  context.Context
	base http.RoundTripper

	mu     sync.Mutex
	asked  bool
	status int
	err    error
}

var errOnce = errors.New("one attempt at a time")

func (o *once) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	again := o.asked
	o.asked = true
	o.mu.Unlock()
	if again {
		return nil, errOnce
	}
	res, err := o.base.RoundTrip(r.WithContext(o.ctx))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err = err; err == nil {
		o.status = res.StatusCode
	}
	return res, err
}

func (o *once) client() *http.Client {
	return &http.Client{Transport: o, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// maxText fits into one message of every service: what is longer would become several requests.
const maxText = 800

type awake struct{}

func (awake) Sleep(time.Duration) {}

// service tells by a service of the library. Offered are those whose requests can be led through the guard.
func (s *Sender) service(ctx context.Context, r receiver.Receiver, m receiver.Message) error {
	base, err := s.Guard.Transport(egress.TLS{CA: r.CA})
	if err != nil {
		return err
	}
	to, err := url.Parse(r.Secrets.URL)
	if err != nil {
		return badURL()
	}
	way := &once{ctx: ctx, base: base}
	service, err := open(to, way)
	if err != nil {
		return err
	}
	params := types.Params{}
	text := m.Text()
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…\n" + m.Link
	}
	if to.Scheme != rocketchat.Scheme && to.Scheme != mattermost.Scheme { // there params name other things
		params.SetTitle(m.Title)
		err = service.Send(text, &params)
	} else {
		err = service.Send(m.Title+"\n"+text, &params)
	}
	switch {
	case way.err != nil:
		return failed(way.err)
	case way.status != 0 && answered(way.status) != nil:
		return answered(way.status)
	case err != nil && !way.asked:
		return badURL()
	}
	return nil // it took the message; what the library thinks of the answer's body is not why somebody should be told twice
}

func badURL() error {
	return odcm.E(odcm.Invalid, "alert.receiver-url", "The service does not understand the receiver's URL. Enter it again.")
}

// open makes the service of the URL with its requests led over the way.
func open(to *url.URL, way *once) (types.Service, error) {
	quiet := log.New(io.Discard, "", 0) // it would write URLs
	start := func(s types.Service) error {
		if s.Initialize(to, quiet) != nil {
			return badURL()
		}
		return nil
	}
	switch to.Scheme {
	case discord.Scheme:
		d := &discord.Service{}
		if err := start(d); err != nil {
			return nil, err
		}
		d.HTTPClient, d.Sleeper = way.client(), awake{}
		return d, nil
	case mattermost.Scheme:
		d := &mattermost.Service{}
		if err := start(d); err != nil {
			return nil, err
		}
		*d.GetHTTPClient() = *way.client()
		return d, nil
	case ntfy.Scheme:
		d := &ntfy.Service{}
		if err := start(d); err != nil {
			return nil, err
		}
		d.SetHTTPClient(way.client())
		return d, nil
	case pushover.Scheme:
		d := &pushover.Service{}
		if err := start(d); err != nil {
			return nil, err
		}
		d.Client = way.client()
		return d, nil
	case rocketchat.Scheme:
		d := &rocketchat.Service{}
		if err := start(d); err != nil {
			return nil, err
		}
		d.Client = way.client()
		return d, nil
	}
	return nil, odcm.E(odcm.Unsupported, "alert.receiver-service", "ODCM does not offer this service: discord, mattermost, ntfy, pushover and rocketchat are offered. "+
		"Use a webhook for others.")
}
