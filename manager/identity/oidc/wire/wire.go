// Package wire asks other organisations' services over the guarded way out: JSON over HTTP, bounded in time and bytes, tried once
// more where that may help, with errors that people can read and that leak nothing.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"odcm"
)

// Bounds of what is read.
const (
	maxAnswer = 4 << 20 // bytes of one answer: a page of a thousand groups is a tenth of it
	tries     = 2
	within    = 30 * time.Second // one try; whoever has a person waiting bounds the whole by the context
	waitMost  = 5 * time.Second  // before the next try, whatever the answer asks for
)

// Bounds of what other organisations say about a person.
const (
	MaxSubject = 255   // bytes of an identifier (OpenID Connect Core section 2)
	MaxGroups  = 5_000 // of one person
)

// Client speaks JSON over HTTP.
type Client struct{ HTTP *http.Client }

// Call is a request that may be sent twice: it changes nothing.
type Call struct {
	Method, URL string
	Header      http.Header
	Body        any // JSON; nil for none
}

// Do sends the call, once more where the other side was too busy or away for a moment, and reads the answer into v.
func (w Client) Do(ctx context.Context, c Call, v any) (err error) {
	for try := range tries {
		if try > 0 && !pause(ctx, err) {
			break
		}
		if err = w.once(ctx, c, v); err == nil || !worthAnother(err) {
			break
		}
	}
	return err
}

func worthAnother(err error) bool {
	var s *Status
	if errors.As(err, &s) {
		return s.Code == http.StatusTooManyRequests || s.Code >= 500
	}
	return odcm.KindOf(err) == odcm.Unavailable && odcm.CodeOf(err) != "egress.tls" && odcm.CodeOf(err) != "egress.timeout"
}

// pause waits as long as the answer asks, or a little; not at all where there is no time left for that.
func pause(ctx context.Context, err error) bool {
	wait := 200 * time.Millisecond
	if s := (*Status)(nil); errors.As(err, &s) && s.after > 0 {
		wait = s.after
	}
	if end, ok := ctx.Deadline(); wait > waitMost || ok && time.Until(end) <= wait {
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (w Client) once(ctx context.Context, c Call, v any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var body io.Reader
	if c.Body != nil {
		b, err := json.Marshal(c.Body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, c.URL, body)
	if err != nil {
		return odcm.E(odcm.Invalid, "provider.address-invalid", "The provider names an address that is none.").Because(err)
	}
	r.Header = c.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Accept", "application/json")
	if c.Body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := w.HTTP.Do(r)
	if err != nil {
		return Unreachable(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return Unreachable(err)
	}
	if len(b) > maxAnswer {
		return odcm.E(odcm.Invalid, "provider.answer-too-large", "The answer of %s is larger than %d MiB, which is all that ODCM reads.", r.URL.Host, maxAnswer>>20)
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res, b)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return odcm.E(odcm.Invalid, "provider.answer-malformed", "%s answers with %q where ODCM expects JSON: is the address right?", r.URL.Host, Clean(kind, 60))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return odcm.E(odcm.Invalid, "provider.answer-malformed", "The answer of %s cannot be read: it is not the JSON that ODCM expects.", r.URL.Host).Because(err)
	}
	return nil
}

// With makes the x/oauth2 package use the guarded client.
func (w Client) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, w.HTTP)
}

// Bearer is the header of a call with a token.
func Bearer(token *oauth2.Token) http.Header {
	return http.Header{"Authorization": {"Bearer " + token.AccessToken}}
}

// Clean makes text from outside fit to be shown and logged: valid, on one line, at most n bytes.
func Clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.In(r, unicode.Cf) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n])
}

// Fits tells whether an identifier can be kept as it is. One that is not is of no use at all: cut or cleaned it could become
// another's.
func Fits(id string) bool {
	return id != "" && len(id) <= MaxSubject && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// Safe tells whether what comes from the address can be believed: it comes over TLS or from this machine (OpenID Connect Core
// section 3.1.3.1, Discovery section 7.1).
func Safe(u *url.URL) bool {
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		host := u.Hostname()
		ip, err := netip.ParseAddr(host)
		return host == "localhost" || err == nil && ip.IsLoopback()
	}
	return false
}
