package kerberos

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/service"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"odcm"
)

// Ticket is who proved to be who.
type Ticket struct {
	Realm string // "CORP.EXAMPLE.COM"
	Name  string // "bob"
	SID   string // "S-1-5-21-…" of the account, where the ticket has a PAC ([MS-PAC]); else ""
}

// Acceptor checks tokens with the keys of one service.
type Acceptor struct {
	keys      *keytab.Keytab
	principal string
}

// MaxToken bounds a token, in bytes: Windows makes them as long as 48,000.
const MaxToken = 64 << 10

// New reads a keytab as ktutil and ktpass write it. The principal is the one that browsers get tickets for, such as
// "HTTP/odcm.example.com"; where it is empty, the only one in the keytab. Errors are Invalid, on "keytab" or "servicePrincipal".
func New(raw []byte, principal string) (a *Acceptor, err error) {
	invalid := func(cause error) error {
		return odcm.E(odcm.Invalid, "kerberos.keytab-invalid", "The file is no keytab.").OnField("keytab").Because(cause)
	}
	defer func() {
		if v := recover(); v != nil { // the library trusts lengths in the file
			a, err = nil, invalid(fmt.Errorf("%v", v))
		}
	}()
	keys := keytab.New()
	if err := keys.Unmarshal(raw); err != nil {
		return nil, invalid(err)
	}
	names := map[string]bool{}
	strong := map[string]bool{}
	for _, e := range keys.Entries {
		name := strings.Join(e.Principal.Components, "/")
		names[name] = true
		if e.Key.KeyType == etypeID.AES256_CTS_HMAC_SHA1_96 || e.Key.KeyType == etypeID.AES128_CTS_HMAC_SHA1_96 {
			strong[name] = true
		}
	}
	principal, _, _ = strings.Cut(strings.TrimSpace(principal), "@")
	if principal == "" && len(names) == 1 {
		for name := range names {
			principal = name
		}
	}
	switch {
	case principal == "":
		return nil, odcm.E(odcm.Invalid, "kerberos.principal-missing", "Say which service principal of the keytab is meant, such as HTTP/odcm.example.com.").OnField("servicePrincipal")
	case !names[principal]:
		return nil, odcm.E(odcm.Invalid, "kerberos.principal-unknown", "The keytab has no key for %s: make it for that principal.", principal).OnField("servicePrincipal")
	case !strong[principal]:
		return nil, odcm.E(odcm.Invalid, "kerberos.keytab-weak", "The keytab has no AES key for %s: make it anew, with ktpass /crypto AES256-SHA1.", principal).OnField("keytab")
	}
	return &Acceptor{keys: keys, principal: principal}, nil
}

// Principal is the service that tickets must be for.
func (a *Acceptor) Principal() string { return a.principal }

// Keys describes the keys, for people: "AES256, version 3".
func (a *Acceptor) Keys() []string {
	var list []string
	for _, e := range a.keys.Entries {
		if strings.Join(e.Principal.Components, "/") == a.principal {
			list = append(list, etypeName(e.Key.KeyType)+", version "+strconv.FormatUint(uint64(e.KVNO), 10))
		}
	}
	return list
}

func etypeName(id int32) string {
	switch id {
	case etypeID.AES256_CTS_HMAC_SHA1_96:
		return "AES256"
	case etypeID.AES128_CTS_HMAC_SHA1_96:
		return "AES128"
	case etypeID.RC4_HMAC:
		return "RC4"
	}
	return "type " + strconv.Itoa(int(id))
}

// The replies of RFC 4178 section 4.2.2, negTokenResp: accept-completed with Kerberos as the mechanism, and reject.
var (
	accepted = decoded("oRQwEqADCgEAoQsGCSqGSIb3EgECAg==")
	rejected = decoded("oQcwBaADCgEC")
)

func decoded(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

// Accept checks a token that a browser sent, from the address that it came from. Reply, where there is one, goes back in
// WWW-Authenticate. Errors are Unauthenticated: "kerberos.ntlm" for a token of NTLM, "kerberos.clock" where clocks differ too
// much, "kerberos.replay", else "kerberos.refused".
func (a *Acceptor) Accept(token []byte, remoteAddress string) (t Ticket, reply []byte, err error) {
	defer func() {
		if v := recover(); v != nil { // the library takes some forged tokens for granted
			t, reply, err = Ticket{}, rejected, refused(fmt.Errorf("%v", v))
		}
	}()
	if len(token) == 0 || len(token) > MaxToken {
		return t, rejected, refused(errors.New("its length"))
	}
	if isNTLM(token) {
		return t, nil, odcm.E(odcm.Unauthenticated, "kerberos.ntlm",
			"The browser has no ticket for ODCM, and offered NTLM, which is not taken: sign in with your password.")
	}
	st, err := unwrap(token)
	if err != nil {
		return t, rejected, refused(err)
	}
	settings := []func(*service.Settings){service.KeytabPrincipal(a.principal), service.DecodePAC(true)}
	if h, err := types.GetHostAddress(net.JoinHostPort(hostOf(remoteAddress), "0")); err == nil {
		settings = append(settings, service.ClientAddress(h))
	}
	ok, ctx, status := spnego.SPNEGOService(a.keys, settings...).AcceptSecContext(st)
	if status.Code != gssapi.StatusComplete || !ok {
		return t, rejected, explain(status)
	}
	t, err = ticket(ctx)
	if err != nil {
		return Ticket{}, rejected, refused(err)
	}
	return t, accepted, nil
}

// hostOf is an address without its port, if it has one.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// credentialsKey is under what the library leaves who it was.
const credentialsKey = "github.com/jcmturner/gokrb5/v8/ctxCredentials"

func ticket(ctx context.Context) (Ticket, error) {
	c, ok := ctx.Value(credentialsKey).(*credentials.Credentials)
	if !ok || !c.Authenticated() || len(c.CName().NameString) != 1 || c.UserName() == "" {
		return Ticket{}, errors.New("it is not a person's")
	}
	t := Ticket{Realm: c.Domain(), Name: c.UserName()}
	if pac := c.GetADCredentials(); pac.LogonDomainID != "" && pac.UserID > 0 {
		t.SID = pac.LogonDomainID + "-" + strconv.Itoa(pac.UserID)
	}
	return t, nil
}

// unwrap reads a SPNEGO token, or a bare Kerberos one, which some clients send.
func unwrap(token []byte) (*spnego.SPNEGOToken, error) {
	st := new(spnego.SPNEGOToken)
	err := st.Unmarshal(token)
	if err != nil {
		var bare spnego.KRB5Token
		if bare.Unmarshal(token) != nil {
			return nil, err
		}
		st.Init, st.Resp = true, false
		st.NegTokenInit = spnego.NegTokenInit{MechTypes: append(st.NegTokenInit.MechTypes[:0], bare.OID), MechTokenBytes: token}
	}
	if !st.Init || len(st.NegTokenInit.MechTypes) == 0 {
		return nil, errors.New("it does not begin a negotiation")
	}
	return st, nil
}

// isNTLM looks for NTLM's signature ([MS-NLMP] section 2.2.1) at the start, or as the token inside of SPNEGO.
func isNTLM(token []byte) bool {
	return bytes.Contains(token[:min(len(token), 128)], []byte("NTLMSSP\x00"))
}

func refused(cause error) error {
	return odcm.E(odcm.Unauthenticated, "kerberos.refused", "The ticket that the browser sent was not accepted: sign in with your password.").Because(cause)
}

// explain reads the library's words: they are all that it gives. The errors are those of RFC 4120 section 7.5.9.
func explain(status gssapi.Status) error {
	cause := errors.New(status.Message)
	switch text := strings.ToLower(status.Message); {
	case strings.Contains(text, "skew"):
		return odcm.E(odcm.Unauthenticated, "kerberos.clock",
			"The clocks of the browser's machine and of ODCM differ by more than five minutes: set them, or sign in with your password.").Because(cause)
	case strings.Contains(text, "replay"):
		return odcm.E(odcm.Unauthenticated, "kerberos.replay", "This ticket was used already: load the page again.").Because(cause)
	case strings.Contains(text, "expired"):
		return odcm.E(odcm.Unauthenticated, "kerberos.expired", "The ticket has expired: lock and unlock your machine, or sign in with your password.").Because(cause)
	}
	return refused(cause)
}
