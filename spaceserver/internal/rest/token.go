package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/signin"
)

// tokens are the routes at which a service account gets an access token (octopus-rest-api/openid-connect in Octopus's
// documentation).
func (h *Handler) tokens() []collection.Action {
	open := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InSystem, Anonymous: true, Handle: handle}
	}
	return []collection.Action{
		open("GET", ".well-known/openid-configuration", h.discovery),
		open("GET", ".well-known/jwks", func(c *collection.Call) (any, error) { return h.External.Keys(c.Context) }),
		open("POST", "token/v1", h.exchange),
	}
}

// issuer is how this server calls itself in tokens: the address that was configured, or that by which it was called.
func (h *Handler) issuer(c *collection.Call) (string, error) {
	o, err := configuration.Read(c.Context, h.Service.Store, configuration.Authentication)
	if err != nil {
		return "", err
	}
	if configured := o.Object("OidcConfigurationSettings").Text("OidcIssuerUrl"); configured != "" {
		return strings.TrimSuffix(configured, "/"), nil
	}
	return c.Origin, nil
}

func (h *Handler) discovery(c *collection.Call) (any, error) {
	issuer, err := h.issuer(c)
	return map[string]any{"issuer": issuer, "token_endpoint": c.Origin + "/token/v1", "jwks_uri": c.Origin + "/.well-known/jwks", "grant_types_supported": []string{signin.GrantExchange},
		"response_types_supported": []string{"token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"}}, err
}

// exchange answers errors as RFC 6749 section 5.2 has them, always invalid_request as Octopus does.
func (h *Handler) exchange(c *collection.Call) (any, error) {
	token, err := h.redeem(c)
	var refused *problem.Error
	if !errors.As(err, &refused) || refused.Status >= 500 && refused.Status != http.StatusBadGateway || refused.Status == http.StatusTooManyRequests {
		return token, err
	}
	h.Logger.WarnContext(c.Context, "a token exchange was refused", "address", c.Address, "error", err)
	text := refused.Message
	if len(refused.Errors) > 0 {
		text = strings.Join(refused.Errors, " ")
	}
	return collection.Answer{Status: http.StatusBadRequest, Value: map[string]string{"error": "invalid_request", "error_description": text}}, nil
}

func (h *Handler) redeem(c *collection.Call) (signin.Token, error) {
	// Checking a signature and asking an issuer cost more than other requests.
	if err := h.attempt(limit.SignIn(), "token/"+c.Address); err != nil {
		return signin.Token{}, err
	}
	text, err := io.ReadAll(io.LimitReader(c.Body, 256<<10))
	if err != nil {
		return signin.Token{}, err
	}
	var x signin.Exchange
	if kind, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(text))
		if err != nil {
			return signin.Token{}, problem.Invalid("The form is not readable.").Because(err)
		}
		x = signin.Exchange{GrantType: form.Get("grant_type"), Audience: form.Get("audience"), SubjectTokenType: form.Get("subject_token_type"), SubjectToken: form.Get("subject_token")}
	} else if err := json.Unmarshal(text, &x); err != nil {
		return signin.Token{}, problem.Invalid("The body must be a form or a JSON object.").Because(err)
	}
	issuer, err := h.issuer(c)
	if err != nil {
		return signin.Token{}, err
	}
	return h.External.Redeem(c.Context, x, issuer)
}
