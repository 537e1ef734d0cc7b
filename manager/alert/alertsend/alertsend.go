// Package alertsend tells receivers: by webhook, Slack, Teams, PagerDuty, mail, and the services that a library knows by URL.
//
// Everything goes through package egress. Services whose requests could not be led there are not offered. Errors say what to
// do about them and never hold a URL, in which chats keep their tokens.
package alertsend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/kit/mail"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// Guard makes clients that keep to the policy of where ODCM may go.
type Guard interface {
	Client(settings egress.TLS) (*http.Client, error)
	Transport(settings egress.TLS) (http.RoundTripper, error)
}

// Mailer sends at once, for tests; everything else goes by the outbox.
type Mailer interface {
	Send(ctx context.Context, id string, m mail.Message) error
}

// Sender implements delivery.Sender.
type Sender struct {
	Guard  Guard
	Mailer Mailer           // nil where no mail server is set up
	Agent  string           // "odcm/1.2"
	Now    func() time.Time // time.Now if nil
}

// Send tells the receiver.
func (s *Sender) Send(ctx context.Context, r receiver.Receiver, m receiver.Message) error {
	switch r.Kind {
	case receiver.Email:
		return s.mail(ctx, r, m)
	case receiver.Webhook:
		return s.webhook(ctx, r, m)
	case receiver.Slack:
		return s.post(ctx, r, slack(m), nil)
	case receiver.Teams:
		return s.post(ctx, r, teams(m), nil)
	case receiver.PagerDuty:
		return s.pagerDuty(ctx, r, m)
	case receiver.Other:
		return s.service(ctx, r, m)
	}
	return odcm.E(odcm.Unsupported, "alert.receiver-kind", "This version does not know receivers of the kind %s.", r.Kind)
}

func (s *Sender) mail(ctx context.Context, r receiver.Receiver, m receiver.Message) error {
	if s.Mailer == nil {
		return odcm.E(odcm.Unavailable, "mail.not-set-up", "No mail server is set up here: start ODCM with one.")
	}
	all, err := m.Mails(r.To)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := s.Mailer.Send(ctx, m.ID, one); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sender) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// post sends a document as JSON to the receiver's URL.
func (s *Sender) post(ctx context.Context, r receiver.Receiver, document any, header http.Header) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return s.postTo(ctx, r, r.Secrets.URL, body, header)
}

func (s *Sender) postTo(ctx context.Context, r receiver.Receiver, to string, body []byte, header http.Header) error {
	client, err := s.Guard.Client(egress.TLS{CA: r.CA})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return odcm.E(odcm.Invalid, "alert.receiver-url", "The receiver's URL is not valid. Enter it again.")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.Agent)
	res, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	return answered(res.StatusCode)
}

// failed explains why there was no answer, without the URL.
func failed(err error) error {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case odcm.CodeOf(err) == "egress.redirect":
		return odcm.E(odcm.Invalid, "alert.redirected", "The receiver's address redirects elsewhere. Enter the address that it redirects to.")
	case odcm.KindOf(err) != odcm.Internal:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return odcm.E(odcm.Unavailable, "alert.receiver-slow", "The receiver did not answer in time.")
	}
	return odcm.E(odcm.Unavailable, "alert.receiver-away", "The connection to the receiver failed.")
}

// answered explains a status. What a client did wrong does not become right by repeating it (RFC 9110 section 15.5).
func answered(status int) error {
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500:
		return odcm.E(odcm.Unavailable, "alert.receiver-busy", "The receiver answered with status %d. ODCM tries again.", status)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return odcm.E(odcm.Invalid, "alert.receiver-refused", "The receiver answered with status %d: it does not accept the key or token. Enter it again.", status)
	case status == http.StatusNotFound || status == http.StatusGone:
		return odcm.E(odcm.Invalid, "alert.receiver-gone", "The receiver answered with status %d: there is no such address. Was the webhook deleted there?", status)
	case status >= 300 && status <= 399:
		return odcm.E(odcm.Invalid, "alert.redirected", "The receiver's address redirects elsewhere. Enter the address that it redirects to.")
	}
	return odcm.E(odcm.Invalid, "alert.receiver-refused", "The receiver answered with status %d: it refuses what ODCM sends.", status)
}

// over tells whether everything that the message tells of is over.
func over(m receiver.Message) bool {
	for _, l := range m.Lines {
		if !l.Over {
			return false
		}
	}
	return m.Kind != alert.Tests
}
