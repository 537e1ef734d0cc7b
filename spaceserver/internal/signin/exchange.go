package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/problem"
)

// Parameters of a token exchange (RFC 8693 sections 2.1 and 3).
const (
	GrantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
)

// tokenLife is how long an access token lives.
const tokenLife = time.Hour

// Exchange is a request to the token endpoint.
type Exchange struct {
	GrantType        string `json:"grant_type"`
	Audience         string `json:"audience"`
	SubjectTokenType string `json:"subject_token_type"`
	SubjectToken     string `json:"subject_token"`
}

// Token is what the token endpoint answers.
type Token struct {
	AccessToken     string `json:"access_token"`
	ExpiresIn       int    `json:"expires_in"`
	TokenType       string `json:"token_type"`
	IssuedTokenType string `json:"issued_token_type"`
}

// foreign are the algorithms that an issuer may sign with: any with a public key.
var foreign = append(slices.Clone(signatures), jose.ES256, jose.ES384, jose.ES512, jose.EdDSA)

// ExternalID is the id by which issuers know a service account: a GUID that follows from the server's and the user's.
func (s *Service) ExternalID(user string) string {
	server, err := uuid.Parse(s.Installation())
	if err != nil {
		server = uuid.NameSpaceOID
	}
	return uuid.NewSHA1(server, []byte(user)).String()
}

// IssuerAllowed refuses an issuer whose word anybody on the way could change.
func (s *Service) IssuerAllowed(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return problem.Invalid("Issuer must be the absolute address of the token's issuer.")
	case u.Scheme == "https", u.Scheme == "http" && s.PlainIssuers:
		return nil
	}
	return problem.Invalid("Issuer must be an address with https.")
}

// Redeem gives an access token of a service account for the token of an issuer that the account trusts.
func (s *Service) Redeem(ctx context.Context, x Exchange, issuer string) (Token, error) {
	switch {
	case x.GrantType != GrantExchange:
		return Token{}, problem.Invalid("grant_type must be " + GrantExchange + ".")
	case x.SubjectTokenType != typeJWT:
		return Token{}, problem.Invalid("subject_token_type must be " + typeJWT + ".")
	case x.Audience == "":
		return Token{}, problem.Invalid("audience must be the id of the service account.")
	}
	// Nothing is asked of an issuer that the account does not name, so nobody can send this server anywhere.
	if err := named(x.SubjectToken, foreign); err != nil {
		return Token{}, problem.Invalid("subject_token is not a signed token that this server takes.").Because(err)
	}
	parsed, err := jwt.ParseSigned(x.SubjectToken, foreign)
	if err != nil {
		return Token{}, problem.Invalid("subject_token is not a signed token.").Because(err)
	}
	var said jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&said); err != nil {
		return Token{}, problem.Invalid("subject_token is not readable.").Because(err)
	}
	user, audiences, err := s.trusts(ctx, x.Audience, said.Issuer, said.Subject)
	if err != nil {
		return Token{}, err
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return said.Audience.Contains(a) }) {
		return Token{}, unknown(errors.New("audience"))
	}
	if err := s.genuine(ctx, said.Issuer, x.SubjectToken); err != nil {
		return Token{}, err
	}
	account, err := s.Identity.ByID(ctx, user)
	if errors.Is(err, identity.ErrUnknown) || err == nil && !account.Service {
		return Token{}, unknown(errors.New("the account is not active or no service account"))
	}
	if err != nil {
		return Token{}, err
	}
	return s.issue(ctx, user, issuer)
}

// unknown is the one answer to whoever holds a token that fits no identity: it tells neither accounts nor identities.
func unknown(cause error) error {
	return problem.New(http.StatusBadRequest, "The token matches no OIDC identity of the service account: issuer, subject and audience must be those of the identity.").Because(cause)
}

// genuine checks the token with the issuer's own keys.
func (s *Service) genuine(ctx context.Context, issuer, raw string) error {
	if err := s.IssuerAllowed(issuer); err != nil {
		return err
	}
	provider, err := s.discover(ctx, issuer)
	if err != nil {
		return err
	}
	algorithms := make([]string, len(foreign))
	for i, a := range foreign {
		algorithms[i] = string(a)
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: algorithms, Now: s.Now}).Verify(bounded, raw)
	if err != nil {
		return problem.New(http.StatusBadRequest, "subject_token did not stand the check: it must be signed by its issuer and not be expired.").Because(err)
	}
	return nil
}

// trusts finds the service account with the external id that has an identity for issuer and subject, and the audiences
// that its identities ask for.
func (s *Service) trusts(ctx context.Context, audience, issuer, subject string) (user string, audiences []string, err error) {
	for row, err := range s.Service.Store.Each(ctx, s.Service.Store.DB.Read(), document.Query{Kind: "ServiceAccountOidcIdentities", Order: document.OldestFirst}) {
		if err != nil {
			return "", nil, err
		}
		external := s.ExternalID(row.Owner)
		if !strings.EqualFold(external, audience) && row.Owner != audience {
			continue
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return "", nil, err
		}
		if o.Text("Issuer") != issuer || !Like(o.Text("Subject"), subject) {
			continue
		}
		wanted := o.Text("Audience")
		if wanted == "" {
			wanted = external
		}
		user, audiences = row.Owner, append(audiences, wanted)
	}
	if user == "" {
		err = unknown(errors.New("issuer or subject"))
	}
	return user, audiences, err
}

// Like tells whether a subject fits a pattern in which * stands for any text and ? for one character.
func Like(pattern, subject string) bool {
	p, t := []rune(pattern), []rune(subject)
	at, star, mark := 0, -1, 0
	for i := 0; i < len(t); {
		switch {
		case at < len(p) && p[at] == '*':
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == '?' || p[at] == t[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at] == '*' {
		at++
	}
	return at == len(p)
}

// issue signs an access token of a user.
func (s *Service) issue(ctx context.Context, user, issuer string) (Token, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return Token{}, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt")) // RFC 9068
	if err != nil {
		return Token{}, err
	}
	now := s.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: issuer, Subject: user, Audience: jwt.Audience{s.Installation()}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife))}).Serialize()
	return Token{text, int(tokenLife.Seconds()), "Bearer", typeAccessToken}, err
}

// Bearer returns the user of an access token that this server issued, or [identity.ErrUnknown].
func (s *Service) Bearer(ctx context.Context, text string) (*identity.User, error) {
	if len(text) > maxToken {
		return nil, identity.ErrUnknown
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, identity.ErrUnknown
	}
	key, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	var said jwt.Claims
	if token.Claims(key.Public(), &said) != nil || said.Expiry == nil || len(token.Headers) != 1 || token.Headers[0].ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, identity.ErrUnknown
	}
	if said.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{s.Installation()}, Time: s.Now()}, 0) != nil {
		return nil, identity.ErrUnknown
	}
	return s.Identity.ByID(ctx, said.Subject)
}
