package ssohttp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm/manager/sso"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/ssokey"
)

// document is an answer that stays the same: made once, sent often.
type document struct {
	issuer string
	body   []byte
	etag   string
}

// metadata adds what the library's type does not have: RFC 9207 section 3, and what is ODCM's own.
type metadata struct {
	oidc.DiscoveryConfiguration
	IssParameter bool `json:"authorization_response_iss_parameter_supported"`
	// By these a Space server knows that its provider is an ODCM.
	Menu         string `json:"odcm_spaces_menu"`
	Entitlements string `json:"odcm_entitlements_endpoint"`
}

func (h *handler) discovery(w http.ResponseWriter, r *http.Request) {
	d := h.metadata.Load()
	if issuer := h.Service.Issuer(); d == nil || d.issuer != issuer {
		var err error
		if d, err = describe(issuer); err != nil {
			h.fail(w, r, err)
			return
		}
		h.metadata.Store(d)
	}
	serve(w, r, d.body, d.etag)
}

func describe(issuer string) (*document, error) {
	algorithms := []string{string(sso.RS256), string(sso.ES256)}
	auth := []oidc.AuthMethod{oidc.AuthMethodPost, oidc.AuthMethodBasic, oidc.AuthMethodPrivateKeyJWT, oidc.AuthMethodNone}
	assertions := []string{"RS256", "PS256", "ES256"}
	m := metadata{IssParameter: true, Menu: issuer + "/spaces.js", Entitlements: issuer + entitlementsPath, DiscoveryConfiguration: oidc.DiscoveryConfiguration{
		Issuer: issuer, AuthorizationEndpoint: issuer + AuthorizePath, TokenEndpoint: issuer + tokenPath, JwksURI: issuer + keysPath,
		UserinfoEndpoint: issuer + userinfoPath, IntrospectionEndpoint: issuer + introspectPath, RevocationEndpoint: issuer + revokePath,
		DeviceAuthorizationEndpoint: issuer + devicePath, EndSessionEndpoint: issuer + signOutPath,
		ScopesSupported:                            []string{"openid", "profile", "email", "groups", "offline_access"},
		ResponseTypesSupported:                     []string{"code", "id_token", "code id_token"},
		ResponseModesSupported:                     []string{grant.ModeQuery, grant.ModeFragment, grant.ModeFormPost},
		GrantTypesSupported:                        []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeImplicit, oidc.GrantTypeRefreshToken, oidc.GrantTypeDeviceCode},
		SubjectTypesSupported:                      []string{"public"},
		IDTokenSigningAlgValuesSupported:           algorithms,
		TokenEndpointAuthMethodsSupported:          auth,
		TokenEndpointAuthSigningAlgValuesSupported: assertions,
		RevocationEndpointAuthMethodsSupported:     auth, RevocationEndpointAuthSigningAlgValuesSupported: assertions,
		IntrospectionEndpointAuthMethodsSupported: auth[:3], IntrospectionEndpointAuthSigningAlgValuesSupported: assertions,
		ClaimTypesSupported: []string{"normal"},
		ClaimsSupported: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "azp", "at_hash", "c_hash", "sid",
			"name", "preferred_username", "updated_at", "email", "email_verified", "groups"},
		CodeChallengeMethodsSupported: []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		BackChannelLogoutSupported:    true, BackChannelLogoutSessionSupported: true,
	}}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &document{issuer, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

func (h *handler) keySet(w http.ResponseWriter, r *http.Request) {
	body, etag, err := h.Keys.Set(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	serve(w, r, body, etag)
}

var (
	maxAge  = []string{"public, max-age=" + strconv.Itoa(int(ssokey.MaxAge.Seconds()))}
	anybody = []string{"*"} // nothing secret: pages of any site may read it
)

// serve answers what anybody may keep for some minutes.
func serve(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	head := w.Header()
	head["Cache-Control"], head["Access-Control-Allow-Origin"] = maxAge, anybody
	head["Etag"] = []string{etag}
	if match := r.Header.Get("If-None-Match"); match == "*" || match != "" && strings.Contains(match, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head["Content-Type"], head["X-Content-Type-Options"] = asJSON, noSniff
	_, _ = w.Write(body)
}
