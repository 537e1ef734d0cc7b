package grant

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// Response modes (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode).
const (
	ModeQuery    = "query"
	ModeFragment = "fragment"
	ModeFormPost = "form_post"
)

// Reply goes back to the relying party through the browser.
type Reply struct {
	To     string // redirect URI, a registered one
	Mode   string
	Values url.Values
}

// SignIn says that the person must sign in first.
type SignIn struct {
	Fresh bool   // though signed in: the relying party asks for it, or for a choice of account
	Hint  string // whom the relying party expects
	// After is to come back as the parameter [AfterParam]: a sign-in from then on satisfies the request.
	After string
}

// Ask says that the person must be asked first whether the relying party may know the scopes. The ticket comes back with the
// answer, to [Service.Consented].
type Ask struct {
	Party  sso.Party
	Scopes []string
	Ticket string
}

// Answer is what becomes of an authorization request: one of the three.
type Answer struct {
	Reply  *Reply
	SignIn *SignIn
	Ask    *Ask
}

// AfterParam is a parameter of ODCM's own: the time, in seconds, from which on a sign-in counts as the fresh one that
// "prompt=login" asked for. Who sets it spares himself his own prompt; auth_time tells the relying party the truth.
const AfterParam = "odcm_after"

// Bounds of an authorization request.
const (
	maxParameters = 40
	maxQuery      = 12 << 10
	maxState      = 4 << 10
	maxNonce      = 1 << 10
)

// request is an authorization request that was read and found sound.
type request struct {
	oidc.AuthRequest
	party    sso.Party
	mode     string
	after    int64
	response response
}

// response tells what of a response_type is asked for.
type response struct{ code, token bool }

var responses = map[oidc.ResponseType]response{
	"code": {code: true}, "id_token": {token: true}, "code id_token": {true, true}, "id_token code": {true, true},
}

var scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, "groups", oidc.ScopeOfflineAccess}

// Scopes are those that are known; others are left out of what is granted (OpenID Connect Core section 3.1.2.1).
func Scopes() []string { return slices.Clone(scopes) }

// Authorize answers an authorization request. Session is that of the browser, "" where nobody is signed in. An error is for
// the person who is looking, since it is not known, or not safe, where to send it; all others are in the answer.
func (s *Service) Authorize(ctx context.Context, values url.Values, session string) (Answer, error) {
	q, err := s.read(ctx, values)
	if err != nil {
		return s.fail(q, err)
	}
	none := slices.Contains(q.Prompt, oidc.PromptNone)
	who, signIn, err := s.who(ctx, q, session)
	switch {
	case err != nil:
		return Answer{}, err
	case signIn != nil && none:
		return s.fail(q, oidc.ErrLoginRequired())
	case signIn != nil:
		return Answer{SignIn: signIn}, nil
	}
	if _, err := s.ClaimsOf(ctx, q.party, who.User, q.Scopes); err != nil {
		if odcm.KindOf(err) == odcm.Denied {
			s.Refused(ctx, q.party.ID, who.User, odcm.CodeOf(err))
			if none {
				return s.fail(q, oidc.ErrAccessDenied().WithDescription("this person may not enter"))
			}
		}
		return Answer{}, err
	}
	if q.party.Consent {
		given, err := s.consented(ctx, q, who.User)
		switch {
		case err != nil:
			return Answer{}, err
		case !given && none:
			return s.fail(q, &oidc.Error{ErrorType: "consent_required"})
		case !given:
			ticket, err := s.o.Keys.Seal(useConsent, consentTicket{values.Encode(), who.ID, s.now().Add(ticketLife).Unix()})
			return Answer{Ask: &Ask{q.party, q.Scopes, ticket}}, err
		}
	}
	return s.reply(ctx, q, who)
}

// read checks the request. The request that it returns with an error has a redirect URI only where the error may be sent
// there.
func (s *Service) read(ctx context.Context, values url.Values) (q request, err error) {
	page := func(code, text string) error { return odcm.E(odcm.Invalid, "sso."+code, "%s", text) }
	size := 0
	for name, all := range values {
		size += len(name)
		for _, v := range all {
			size += len(v)
		}
	}
	if len(values) > maxParameters || size > maxQuery {
		return q, page("request-too-large", "The application that sent you here asks in more words than any needs to.")
	}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(values[name]) != 1 || values.Get(name) == "" {
			return q, page("request-malformed", "The application that sent you here did not say who it is and where to return, each once.")
		}
	}
	p, err := s.Lookup(ctx, sso.PartyID(values.Get("client_id")))
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.Disabled {
		s.Refused(ctx, sso.PartyID(clip(values.Get("client_id"))), "", "sign-in for an unknown or disabled relying party")
		return q, page("client-unknown", "ODCM does not know the application that sent you here: ask its administrator.")
	}
	if err != nil {
		return q, err
	}
	q.party = p
	if !p.Redirects(values.Get("redirect_uri")) {
		s.Refused(ctx, p.ID, "", "redirect URI that is not registered")
		return q, page("redirect-unknown", p.Name+" wants you sent to an address that is not registered for it. Nothing was sent there.")
	}
	q.RedirectURI, q.State = values.Get("redirect_uri"), values.Get("state")
	return q, s.readRest(values, &q)
}

func clip(text string) string { return text[:min(len(text), 100)] }

// readRest checks what may be answered to the relying party itself where it is wrong.
func (s *Service) readRest(values url.Values, q *request) error {
	invalid := oidc.ErrInvalidRequest
	q.ResponseType = oidc.ResponseType(values.Get("response_type"))
	var known bool
	q.response, known = responses[q.ResponseType]
	q.mode = values.Get("response_mode")
	if q.mode == "" {
		if q.mode = ModeQuery; q.response.token {
			q.mode = ModeFragment
		}
	}
	switch {
	case !slices.Contains([]string{ModeQuery, ModeFragment, ModeFormPost}, q.mode) || q.mode == ModeQuery && q.response.token:
		if q.mode = ModeQuery; q.response.token {
			q.mode = ModeFragment
		}
		return invalid().WithDescription("this response_mode is not for this response_type")
	case len(q.State) > maxState:
		q.State = ""
		return invalid().WithDescription("state is too long")
	}
	for name, all := range values {
		if len(all) > 1 {
			return invalid().WithDescription("a parameter is there twice: %.40q", name)
		}
	}
	switch {
	case values.Has("request"):
		return oidc.ErrRequestNotSupported()
	case values.Has("request_uri"):
		return &oidc.Error{ErrorType: "request_uri_not_supported"}
	case values.Has("registration"):
		return &oidc.Error{ErrorType: "registration_not_supported"}
	case q.ResponseType == "":
		return invalid().WithDescription("response_type is missing")
	case !known:
		return &oidc.Error{ErrorType: "unsupported_response_type"}
	case q.response.token && !q.party.Front:
		return oidc.ErrUnauthorizedClient().WithDescription("this client gets ID tokens at the token endpoint only")
	}
	for _, scope := range strings.Fields(values.Get("scope")) {
		if slices.Contains(scopes, scope) && !slices.Contains(q.Scopes, scope) {
			q.Scopes = append(q.Scopes, scope)
		}
	}
	if !slices.Contains(q.Scopes, oidc.ScopeOpenID) {
		return oidc.ErrInvalidScope().WithDescription("the scope openid is missing")
	}
	q.Nonce = values.Get("nonce")
	if q.response.token && q.Nonce == "" {
		return invalid().WithDescription("nonce is missing (OpenID Connect Core section 3.2.2.1)")
	}
	if len(q.Nonce) > maxNonce {
		return invalid().WithDescription("nonce is too long")
	}
	q.CodeChallenge, q.CodeChallengeMethod = values.Get("code_challenge"), oidc.CodeChallengeMethod(values.Get("code_challenge_method"))
	if err := checkChallenge(q); err != nil {
		return err
	}
	return readPrompts(values, q)
}

// checkChallenge: PKCE by SHA-256 for everyone who sends it, and for public clients who will redeem their code. A hybrid
// request of a public client may come without: older Octopus servers take the ID token and let the code go, and
// [Service.Exchange] redeems none of theirs.
func checkChallenge(q *request) error {
	if q.CodeChallenge == "" && q.CodeChallengeMethod == "" {
		if q.party.Public() && q.response.code && !q.response.token {
			return oidc.ErrInvalidRequest().WithDescription("code_challenge is missing (RFC 7636)")
		}
		return nil
	}
	if q.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return oidc.ErrInvalidRequest().WithDescription("transform algorithm not supported: want code_challenge_method S256")
	}
	if len(q.CodeChallenge) != 43 || strings.ContainsFunc(q.CodeChallenge, notBase64URL) {
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is not a SHA-256 in base64url")
	}
	return nil
}

func notBase64URL(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func readPrompts(values url.Values, q *request) error {
	q.Prompt = strings.Fields(values.Get("prompt"))
	for _, prompt := range q.Prompt {
		switch prompt {
		case oidc.PromptNone:
			if len(q.Prompt) > 1 {
				return oidc.ErrInvalidRequest().WithDescription("prompt=none goes with no other")
			}
		case oidc.PromptLogin, oidc.PromptConsent, oidc.PromptSelectAccount:
		default:
			return oidc.ErrInvalidRequest().WithDescription("this prompt is not known")
		}
	}
	if text := values.Get("max_age"); text != "" {
		age, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return oidc.ErrInvalidRequest().WithDescription("max_age is not a number of seconds")
		}
		limit := uint(age)
		q.MaxAge = &limit
	}
	q.after, _ = strconv.ParseInt(values.Get(AfterParam), 10, 64)
	q.IDTokenHint, q.LoginHint = values.Get("id_token_hint"), values.Get("login_hint")
	return nil
}

// who finds out who is signed in, or that somebody must sign in first. An id_token_hint must be of this issuer and client, and
// of the person who is signed in (OpenID Connect Core section 3.1.2.1).
func (s *Service) who(ctx context.Context, q request, session string) (sso.Session, *SignIn, error) {
	signIn := &SignIn{Hint: q.LoginHint, After: strconv.FormatInt(s.now().Unix(), 10)}
	hint, err := s.Hint(ctx, q.IDTokenHint, q.party.ID)
	if q.IDTokenHint != "" && err != nil {
		s.Refused(ctx, q.party.ID, "", "id_token_hint that is not ours")
		return sso.Session{}, nil, odcm.E(odcm.Invalid, "sso.hint", "%s names you by a token that is not ODCM's.", q.party.Name).Because(err)
	}
	if session == "" {
		return sso.Session{}, signIn, nil
	}
	who, err := s.Session(ctx, session)
	if odcm.KindOf(err) == odcm.NotFound {
		return sso.Session{}, signIn, nil
	}
	if err != nil {
		return sso.Session{}, nil, err
	}
	signIn.Fresh = true
	if q.after > 0 && who.Authenticated.Unix() >= q.after {
		if q.IDTokenHint != "" && hint.Subject != who.User {
			return sso.Session{}, nil, odcm.E(odcm.Denied, "sso.another-person", "%s expects somebody else: sign out of ODCM, and come back from there.", q.party.Name)
		}
		return who, nil, nil
	}
	switch age := s.now().Sub(who.Authenticated); {
	case slices.Contains(q.Prompt, oidc.PromptLogin), slices.Contains(q.Prompt, oidc.PromptSelectAccount):
	case q.MaxAge != nil && age > time.Duration(*q.MaxAge)*time.Second:
	case q.IDTokenHint != "" && hint.Subject != who.User:
	default:
		return who, nil, nil
	}
	return sso.Session{}, signIn, nil
}

// fail answers a request that is refused: to the relying party where it is known where that is, else to the person.
func (s *Service) fail(q request, err error) (Answer, error) {
	e, ok := errorOf(err)
	if !ok || q.RedirectURI == "" {
		return Answer{}, err
	}
	values := url.Values{"error": {string(e.ErrorType)}}
	if e.Description != "" {
		values.Set("error_description", e.Description)
	}
	return Answer{Reply: s.back(q, values)}, nil
}

// back addresses the values to the relying party, with state and the issuer (RFC 9207).
func (s *Service) back(q request, values url.Values) *Reply {
	if q.State != "" {
		values.Set("state", q.State)
	}
	values.Set("iss", s.Issuer())
	return &Reply{To: q.RedirectURI, Mode: q.mode, Values: values}
}
