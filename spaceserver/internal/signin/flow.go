package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"odcm/kit/db"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/problem"
)

// How long a sign-in may be under way: Octopus keeps the verifier of PKCE for five minutes and the cookies for twenty.
const (
	verifierLife = 5 * time.Minute
	cookieLife   = 20 * time.Minute
)

// mostUnderWay bounds how many sign-ins are under way: starting one needs no account.
const mostUnderWay = 10_000

// Names of the cookies that tie what comes back to the browser that went (UserAuthConstants).
const (
	StateCookie = "s"
	NonceCookie = "n"
)

// State is what a sign-in carries to the provider and back (LoginState). RequestID finds what is kept of it here.
type State struct {
	RedirectAfterLoginTo  string
	UsingSecureConnection bool
	RequestID             string `json:"RequestId,omitempty"`
}

// Start is where to send the browser, with which cookies.
type Start struct {
	URL     string
	Cookies []*http.Cookie
}

// underWay is what is kept of a sign-in, sealed.
type underWay struct{ Verifier, RedirectURI string }

// Begin starts a sign-in through the slot. Base is this server's address as the browser knows it.
func (s *Service) Begin(ctx context.Context, route, base string, state State) (Start, error) {
	p, err := s.settings(ctx, route)
	if err != nil {
		return Start{}, err
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return Start{}, problem.Invalid("ApiAbsUrl must be the absolute address of this server.")
	}
	if state.RedirectAfterLoginTo == "" {
		state.RedirectAfterLoginTo = "/"
	}
	local, err := s.Local(ctx, state.RedirectAfterLoginTo)
	if err != nil {
		return Start{}, err
	}
	if !local {
		return Start{}, problem.Invalid("Request not allowed, due to potential Open Redirection attack")
	}
	provider, err := s.discover(ctx, p.issuer)
	if err != nil {
		return Start{}, err
	}
	state.RequestID = uuid.NewString()
	text, err := json.Marshal(state)
	if err != nil {
		return Start{}, err
	}
	kept := underWay{RedirectURI: strings.TrimSuffix(base, "/") + "/api/users/authenticatedToken/" + p.route}
	config := oauth2.Config{ClientID: p.client, Endpoint: provider.Endpoint(), RedirectURL: kept.RedirectURI, Scopes: strings.Fields(p.scopes)}
	start, life := Start{}, cookieLife
	var with []oauth2.AuthCodeOption
	if p.secret != "" {
		// Neither nonce nor response_mode: that is how Octopus asks.
		kept.Verifier, life = oauth2.GenerateVerifier(), verifierLife
		with = append(with, oauth2.S256ChallengeOption(kept.Verifier))
	} else {
		nonce := rand.Text()
		with = append(with, oauth2.SetAuthURLParam("response_type", "code id_token"), oauth2.SetAuthURLParam("response_mode", "form_post"), oauth2.SetAuthURLParam("nonce", nonce))
		start.Cookies = append(start.Cookies, s.cookie(NonceCookie, nonce, state.UsingSecureConnection, true))
	}
	if p.resource != "" {
		with = append(with, oauth2.SetAuthURLParam("resource", p.resource)) // RFC 8707
	}
	start.URL = config.AuthCodeURL(string(text), with...)
	start.Cookies = append(start.Cookies, s.cookie(StateCookie, string(text), state.UsingSecureConnection, p.secret == ""))
	return start, s.keep(ctx, p.route, state.RequestID, kept, life)
}

// cookie holds the hash of what must come back. A provider's form post comes from another site, so there the cookie must
// be sent across sites, which browsers do for secure ones only; without TLS they do it for two minutes if nothing is said.
func (s *Service) cookie(name, value string, secure, posted bool) *http.Cookie {
	c := &http.Cookie{Name: name, Value: protect(value), Path: "/", HttpOnly: true, Secure: secure, Expires: s.Now().Add(cookieLife), SameSite: http.SameSiteLaxMode}
	if posted {
		if c.SameSite = http.SameSiteDefaultMode; secure {
			c.SameSite = http.SameSiteNoneMode
		}
	}
	return c
}

func protect(value string) string {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func matches(cookie, value string) bool {
	return cookie != "" && subtle.ConstantTimeCompare([]byte(cookie), []byte(protect(value))) == 1
}

func (s *Service) keep(ctx context.Context, route, id string, kept underWay, life time.Duration) error {
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	key, now := identity.Hash(id), s.Now()
	sealed, err := s.Service.Seal(text, "signin/"+key)
	if err != nil {
		return err
	}
	return s.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_signin WHERE expires < $1", db.Millis(now)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_signin").Scan(&n); err != nil {
			return err
		}
		if n >= mostUnderWay {
			return problem.New(http.StatusTooManyRequests, "Too many people are signing in at this moment. Please try again in a few minutes.")
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_signin (id, provider, sealed, expires) VALUES ($1,$2,$3,$4)", key, route, sealed, db.Millis(now.Add(life)))
		return err
	})
}

// take gives what was kept of a sign-in, once.
func (s *Service) take(ctx context.Context, route, id string) (underWay, error) {
	key := identity.Hash(id)
	var sealed string
	var expires int64
	err := s.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "DELETE FROM spaceserver_signin WHERE id = $1 AND provider = $2 RETURNING sealed, expires", key, route).Scan(&sealed, &expires)
	})
	if errors.Is(err, sql.ErrNoRows) || err == nil && !s.Now().Before(db.Time(expires)) {
		return underWay{}, failed("it was begun too long ago, or was used already. Please sign in again")
	}
	if err != nil {
		return underWay{}, err
	}
	if err := s.Service.Ready(); err != nil {
		return underWay{}, err
	}
	text, err := s.Service.Unseal(sealed, "signin/"+key)
	if err != nil {
		return underWay{}, err
	}
	var kept underWay
	return kept, json.Unmarshal(text, &kept)
}

// failed is the refusal of a sign-in. The cause is for the log.
func failed(why string) *problem.Error {
	return problem.New(http.StatusBadRequest, "User login failed: %s.", why)
}

// Reply is what a browser brings back from the provider, and the cookies that it went with.
type Reply struct {
	Code, State, IDToken, Error string
	StateHash, NonceHash        string
	Posted                      bool // with a form post
	Address                     string
}

// Done is who signed in, and where to go now.
type Done struct {
	User, Return    string
	Issuer, Subject string // whose word it was, and who it said
	ODCM            bool   // the issuer says that it is one (see package entitlement)
	Secure          bool
}

// Finish ends a sign-in: it checks that this browser began it, gets the token, and finds or makes the user.
func (s *Service) Finish(ctx context.Context, route string, r Reply) (Done, error) {
	p, err := s.settings(ctx, route)
	if err != nil {
		return Done{}, err
	}
	if !matches(r.StateHash, r.State) {
		return Done{}, failed("what came back is not what this browser began. Cookies must be allowed; please sign in again")
	}
	var state State
	if err := json.Unmarshal([]byte(r.State), &state); err != nil {
		return Done{}, failed("the state is not readable").Because(err)
	}
	kept, err := s.take(ctx, p.route, state.RequestID)
	if err != nil {
		return Done{}, err
	}
	if r.Error != "" {
		return Done{}, failed("the identity provider refused it: " + code(r.Error))
	}
	if r.Posted != (p.secret == "") {
		return Done{}, failed("the answer did not come in the way that was asked for")
	}
	raw := r.IDToken
	if p.secret != "" {
		if raw, err = s.redeem(ctx, p, r.Code, kept); err != nil {
			return Done{}, err
		}
	}
	claims, err := s.verify(ctx, p, raw)
	if err != nil {
		return Done{}, err
	}
	if p.secret == "" && !matches(r.NonceHash, claims.text("nonce")) {
		return Done{}, failed("the token was made for another sign-in. Please sign in again")
	}
	user, err := s.admit(ctx, p, claims, r.Address)
	if err != nil {
		return Done{}, err
	}
	return Done{user, state.RedirectAfterLoginTo, claims.text("iss"), claims.text("sub"), s.odcm(ctx, p.issuer), state.UsingSecureConnection}, nil
}

// odcm tells whether the issuer is an ODCM, by what it said of itself.
func (s *Service) odcm(ctx context.Context, issuer string) bool {
	provider, err := s.discover(ctx, issuer)
	if err != nil {
		return false
	}
	var said entitlement.Discovery
	return provider.Claims(&said) == nil && said.IsODCM()
}

// code keeps of an error that a provider names what RFC 6749 lets it be made of, so that nothing else is shown.
func code(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), 64)]
}

// redeem gets the token for a code. The secret goes in the body (client_secret_post), as Octopus sends it.
func (s *Service) redeem(ctx context.Context, p settings, code string, kept underWay) (string, error) {
	provider, err := s.discover(ctx, p.issuer)
	if err != nil {
		return "", err
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	config := oauth2.Config{ClientID: p.client, ClientSecret: p.secret, Endpoint: endpoint, RedirectURL: kept.RedirectURI}
	out, err := s.outward(ctx)
	if err != nil {
		return "", err
	}
	bounded, cancel := context.WithTimeout(out, patience)
	defer cancel()
	token, err := config.Exchange(bounded, code, oauth2.VerifierOption(kept.Verifier))
	if err != nil {
		return "", failed("the identity provider gave no token for the code").Because(redacted(err))
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return "", failed("the identity provider sent no id_token")
	}
	return raw, nil
}

// redacted drops the body of a provider's answer, which may repeat what it was sent.
func redacted(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return errors.New("token endpoint: " + refused.Response.Status + " " + code(refused.ErrorCode))
	}
	return err
}

// signatures are the algorithms that a provider may sign with: RSA alone, as Octopus has it. None and HMAC, for which a
// public key would do as the secret, are not among them.
var signatures = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}

// maxToken bounds an id_token in bytes.
const maxToken = 64 << 10

// named refuses a token that does not name the key that it is signed with: Octopus asks for it, and without it any key of
// the provider would do.
func named(raw string, algorithms []jose.SignatureAlgorithm) error {
	if len(raw) > maxToken {
		return errors.New("the token is too large")
	}
	signed, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return err
	}
	if len(signed.Signatures) != 1 || signed.Signatures[0].Header.KeyID == "" {
		return errors.New("the token does not name its key (kid)")
	}
	return nil
}
