package ssooctopus

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"odcm"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/point"
	"odcm/octopus"
)

// browser keeps the cookies of one sign-in and follows no redirects: each must be one that is expected.
type browser struct {
	base string
	http *http.Client
}

// maxPage bounds what is read of a page, in bytes.
const maxPage = 1 << 20

func (b browser) send(ctx context.Context, method, address, contentType string, body []byte) (status int, text []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Accept", "application/json")
	answer, err := b.http.Do(r)
	if err != nil {
		return 0, nil, failed("the server does not answer").Because(err)
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(io.LimitReader(answer.Body, maxPage))
	return answer.StatusCode, text, err
}

func failed(why string) *odcm.Error {
	return odcm.E(odcm.Unavailable, "sso.try-failed", "%s.", strings.ToUpper(why[:1])+why[1:])
}

// Try implements [point.Server].
func (s server) Try(ctx context.Context, slot point.Slot, answer func(ctx context.Context, request *url.URL) (*grant.Reply, error)) (_ string, err error) {
	defer odcm.Wrap(&err, "sign in to %s", s.client.URL())
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	b := browser{s.client.URL(), &http.Client{Transport: s.transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	request, err := b.begin(ctx, slot)
	if err != nil {
		return "", err
	}
	reply, err := answer(ctx, request)
	if err != nil {
		return "", err
	}
	if err := b.finish(ctx, reply); err != nil {
		return "", err
	}
	return b.me(ctx)
}

// begin has the server start its flow, and returns the authorization request to which it would send the browser.
func (b browser) begin(ctx context.Context, slot point.Slot) (*url.URL, error) {
	body, err := json.Marshal(map[string]any{"ApiAbsUrl": b.base, "State": map[string]any{"RedirectAfterLoginTo": "/", "UsingSecureConnection": strings.HasPrefix(b.base, "https:")}})
	if err != nil {
		return nil, err
	}
	// The route has no /api before it in the root document's links, and has had one since the rewrite of 2020.
	for _, prefix := range []string{"", "/api"} {
		status, text, err := b.send(ctx, http.MethodPost, b.base+prefix+"/users/authenticate/"+slot.Route, "application/json", body)
		if err != nil {
			return nil, err
		}
		o, parsed := octopus.ParseObject(text)
		if (status == http.StatusNotFound || status == http.StatusMethodNotAllowed || parsed != nil) && prefix == "" {
			continue
		}
		if status != http.StatusOK {
			return nil, failed("the server cannot begin a sign-in" + said(text))
		}
		u, err := url.Parse(o.Text("ExternalAuthenticationUrl"))
		if err != nil || u.Host == "" {
			return nil, failed("the server does not say where to sign in").Because(errMissing)
		}
		return u, nil
	}
	return nil, failed("the server knows no sign-in through " + slot.Label)
}

// finish brings the provider's answer back to the server, in the way that the reply asks for.
func (b browser) finish(ctx context.Context, reply *grant.Reply) error {
	if !strings.HasPrefix(reply.To, b.base+"/") {
		return failed("the server sends people back to " + reply.To + ", not to the address under which ODCM knows it")
	}
	method, address, contentType, body := http.MethodGet, reply.To+"?"+reply.Values.Encode(), "", []byte(nil)
	if reply.Mode == "form_post" {
		method, address, contentType, body = http.MethodPost, reply.To, "application/x-www-form-urlencoded", []byte(reply.Values.Encode())
	}
	status, text, err := b.send(ctx, method, address, contentType, body)
	if err != nil {
		return err
	}
	if status >= http.StatusBadRequest {
		return failed("the server refuses who comes from ODCM" + said(text))
	}
	return nil
}

// me asks whose session it is.
func (b browser) me(ctx context.Context) (string, error) {
	status, text, err := b.send(ctx, http.MethodGet, b.base+"/api/users/me", "", nil)
	if err != nil {
		return "", err
	}
	o, err := octopus.ParseObject(text)
	if err != nil || status != http.StatusOK {
		return "", failed("the server gave no session after the sign-in" + said(text)).Because(err)
	}
	return o.Text("Username"), nil
}

// said is what the server gives as the reason, where it does so as its own error.
func said(text []byte) string {
	if e, ok := octopus.ParseError(text); ok && e.ErrorMessage != "" {
		return ": " + strings.TrimRight(e.ErrorMessage, ".")
	}
	return ""
}
