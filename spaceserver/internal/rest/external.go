package rest

import (
	"context"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/signin"
)

// external are the routes of sign-in through somebody else (the *Api.cs of OpenIDConnectAuthenticationProviders), and a
// link that starts it for a page.
func (h *Handler) external() []collection.Action {
	open := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Anonymous: true, Handle: handle}
	}
	return []collection.Action{
		open("POST", "users/authenticate/{provider}", h.authenticate),
		open("GET", "users/authenticatedToken/{provider}", h.answered),
		open("POST", "users/authenticatedToken/{provider}", h.answered),
		open("GET", "signin/{provider}", h.leave),
	}
}

// authenticate tells where to send the browser.
func (h *Handler) authenticate(c *collection.Call) (any, error) {
	var model struct {
		APIAbsURL string `json:"ApiAbsUrl"`
		State     *signin.State
	}
	if err := c.Decode(&model); err != nil {
		return nil, err
	}
	state := signin.State{UsingSecureConnection: strings.HasPrefix(c.Origin, "https:")}
	if model.State != nil {
		state = *model.State
	}
	if model.APIAbsURL == "" {
		model.APIAbsURL = c.Origin
	}
	start, header, err := h.begin(c, model.APIAbsURL, state)
	return collection.Answer{Status: http.StatusOK, Header: header, Value: map[string]string{"ExternalAuthenticationUrl": start.URL}}, err
}

func (h *Handler) begin(c *collection.Call, base string, state signin.State) (signin.Start, http.Header, error) {
	header := http.Header{}
	if err := h.attempt(limit.SignIn(), c.Address); err != nil {
		return signin.Start{}, header, err
	}
	start, err := h.External.Begin(c.Context, c.Param("provider"), base, state)
	for _, cookie := range start.Cookies {
		header.Add("Set-Cookie", cookie.String())
	}
	return start, header, err
}

// leave sends the browser to the provider, or lets a guest in. A link on another site does not get this far: it would
// change who somebody is without being asked.
func (h *Handler) leave(c *collection.Call) (any, error) {
	if c.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return nil, problem.New(http.StatusForbidden, "Please sign in from this server's own page.")
	}
	back := c.Query.Get("return")
	if back == "" {
		back = "/"
	}
	secure := strings.HasPrefix(c.Origin, "https:")
	if strings.EqualFold(c.Param("provider"), signin.GuestName) {
		return page(c, func() (any, error) {
			if local, err := h.External.Local(c.Context, back); err != nil || !local {
				return nil, errors.Join(err, problem.Invalid("That is no address of this server."))
			}
			_, session, err := h.guest(c.Context)
			if err != nil {
				return nil, err
			}
			return redirect(back, h.Cookies(session, secure)), nil
		})
	}
	return page(c, func() (any, error) {
		start, header, err := h.begin(c, c.Origin, signin.State{RedirectAfterLoginTo: back, UsingSecureConnection: secure})
		if err != nil {
			return nil, err
		}
		return redirect(start.URL, header), nil
	})
}

// guest starts a session of the guest.
func (h *Handler) guest(ctx context.Context) (*identity.User, identity.Session, error) {
	id, err := h.External.Guest(ctx)
	if err != nil {
		return nil, identity.Session{}, err
	}
	user, err := h.Identity.ByID(ctx, id)
	if err != nil {
		return nil, identity.Session{}, problem.Invalid("The guest's account is disabled.").Because(err)
	}
	session, err := h.Identity.Start(ctx, id, false)
	return user, session, err
}

// answered is where the provider sends the browser back to: with a code in the query, or with a token in a form.
func (h *Handler) answered(c *collection.Call) (any, error) {
	return page(c, func() (any, error) {
		if err := h.attempt(limit.SignIn(), c.Address); err != nil {
			return nil, err
		}
		values, reply := c.Query, signin.Reply{Address: c.Address}
		if text, err := io.ReadAll(c.Body); err != nil {
			return nil, err
		} else if len(text) > 0 {
			if values, err = url.ParseQuery(string(text)); err != nil {
				return nil, problem.Invalid("The form is not readable.").Because(err)
			}
			reply.Posted = true
		}
		reply.Code, reply.State, reply.IDToken, reply.Error = values.Get("code"), values.Get("state"), values.Get("id_token"), values.Get("error")
		asked := &http.Request{Header: c.Header}
		if cookie, err := asked.Cookie(signin.StateCookie); err == nil {
			reply.StateHash = cookie.Value
		}
		if cookie, err := asked.Cookie(signin.NonceCookie); err == nil {
			reply.NonceHash = cookie.Value
		}
		done, err := h.External.Finish(c.Context, c.Param("provider"), reply)
		if err != nil {
			h.Logger.WarnContext(c.Context, "a sign-in failed", "provider", c.Param("provider"), "address", c.Address, "error", err)
			return nil, err
		}
		session, err := h.Identity.Start(c.Context, done.User, true) // as long as an Octopus server remembers, or as it is configured
		if err != nil {
			return nil, err
		}
		header := h.Cookies(session, done.Secure)
		for _, name := range []string{signin.StateCookie, signin.NonceCookie} {
			header.Add("Set-Cookie", (&http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true}).String())
		}
		if done.ODCM {
			known, err := h.Known.Remember(c.Context, entitlement.Entrant{User: done.User, Issuer: done.Issuer, Subject: done.Subject, Secure: done.Secure})
			if err != nil {
				return nil, err
			}
			if known != nil {
				header.Add("Set-Cookie", known.String())
			}
		}
		return redirect(done.Return, header), nil
	})
}

func redirect(to string, header http.Header) collection.Answer {
	header.Set("Location", to)
	return collection.Answer{Status: http.StatusFound, Header: header}
}

// page shows a browser a refusal as a page. Other clients get it as any other.
func page(c *collection.Call, answer func() (any, error)) (any, error) {
	v, err := answer()
	var refused *problem.Error
	if !errors.As(err, &refused) || refused.Status >= 500 && refused.Status != http.StatusBadGateway || !strings.Contains(c.Header.Get("Accept"), "text/html") {
		return v, err
	}
	sentences := refused.Errors
	if len(sentences) == 0 {
		sentences = []string{refused.Message}
	}
	var b strings.Builder
	if err := refusal.Execute(&b, sentences); err != nil {
		return nil, err
	}
	return collection.Content{Status: refused.Status, Type: "text/html; charset=utf-8", Body: strings.NewReader(b.String())}, nil
}

// refusal stands by itself: it must show where nobody is signed in and nothing else may be loaded.
var refusal = template.Must(template.New("refusal").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign-in failed</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}</style></head>
<body><main><h1>Sign-in failed</h1>{{range .}}<p>{{.}}</p>{{end}}<p><a href="/">Back to this server's page</a></p></main></body></html>
`))
