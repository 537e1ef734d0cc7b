package logout

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

// Backchannel brings logout tokens to relying parties (OpenID Connect Back-Channel Logout 1.0 section 2.5).
type Backchannel interface {
	Deliver(ctx context.Context, uri, logoutToken string) error
}

// Options are what a [Service] needs. Logger and Now have defaults.
type Options struct {
	Provider    *grant.Service
	Store       Store
	Keys        sso.Keys
	Backchannel Backchannel
	Logger      *slog.Logger
	Now         func() time.Time
}

// Service signs people out for relying parties, and out of them.
type Service struct{ o Options }

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Bounds of a page that asks whether to sign out.
const (
	useSignOut = "sign-out"
	ticketLife = 10 * time.Minute
	maxState   = 4 << 10
)

// Request is a relying party's request to sign somebody out (OpenID Connect RP-Initiated Logout 1.0 section 2).
type Request struct {
	Hint   string // id_token_hint
	Client sso.PartyID
	To     string // post_logout_redirect_uri
	State  string
}

// Outcome is what becomes of it: whether to ask first, and where to go in the end.
type Outcome struct {
	Party  string // its name, "" where none is known
	Back   string // where to go, "" for ODCM's own page
	Ticket string // of the page that asks; "" where the hint proves that the person's own relying party asks
}

type ticket struct {
	Session string      `json:"s"`
	Back    string      `json:"b"`
	Party   sso.PartyID `json:"p"`
	Until   int64       `json:"e"`
}

// SignOut reads a request to sign out. The person is asked unless the hint is of the session that is signed in: a link on any
// page must not sign people out. An address to go to is used only where it is registered for a client that is known.
func (s *Service) SignOut(ctx context.Context, in Request, session string) (out Outcome, err error) {
	if len(in.State) > maxState || len(in.To) > sso.MaxURI {
		return out, odcm.E(odcm.Invalid, "sso.request-too-large", "The application that sent you here asks in more words than any needs to.")
	}
	hint, err := s.o.Provider.Hint(ctx, in.Hint, in.Client)
	if err != nil {
		s.o.Provider.Refused(ctx, in.Client, "", "id_token_hint that is not ours, to sign out")
		return out, odcm.E(odcm.Invalid, "sso.hint", "The application that sent you here names you by a token that is not ODCM's.").Because(err)
	}
	client := in.Client
	if in.Hint != "" {
		client = hint.Party
	}
	if client != "" {
		p, err := s.o.Provider.Lookup(ctx, client)
		if odcm.KindOf(err) == odcm.NotFound {
			return out, odcm.E(odcm.Invalid, "sso.client-unknown", "ODCM does not know the application that sent you here.")
		}
		if err != nil {
			return out, err
		}
		out.Party = p.Name
		if in.To != "" && !slices.Contains(p.PostLogoutURIs, in.To) {
			s.o.Provider.Refused(ctx, p.ID, "", "post_logout_redirect_uri that is not registered")
			return out, odcm.E(odcm.Invalid, "sso.logout-redirect", "%s wants you sent to an address that is not registered for it.", p.Name)
		}
		out.Back = withState(in.To, in.State)
	} else if in.To != "" {
		return out, odcm.E(odcm.Invalid, "sso.logout-redirect", "The application that sent you here did not say who it is: ODCM sends nobody to an address that it does not know.")
	}
	if session == "" || in.Hint != "" && hint.Session == session {
		return out, nil
	}
	out.Ticket, err = s.o.Keys.Seal(useSignOut, ticket{session, out.Back, client, s.now().Add(ticketLife).Unix()})
	return out, err
}

// Confirm takes the answer of the page that asked, and says where to go.
func (s *Service) Confirm(_ context.Context, text, session string) (back string, err error) {
	var t ticket
	if err := s.o.Keys.Open(useSignOut, text, &t); err != nil || session == "" || t.Session != session || s.now().Unix() >= t.Until {
		return "", odcm.E(odcm.Invalid, "sso.ticket", "This question is not open any more: sign out from the menu.").Because(err)
	}
	return t.Back, nil
}

func withState(to, state string) string {
	u, err := url.Parse(to)
	if to == "" || state == "" || err != nil {
		return to
	}
	separator := "?"
	if u.RawQuery != "" || strings.HasSuffix(to, "?") {
		separator = "&"
	}
	return to + separator + url.Values{"state": {state}}.Encode()
}
