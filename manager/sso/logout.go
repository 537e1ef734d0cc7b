package sso

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
)

// TopicLogout is what the bus says when logout tokens wait.
const TopicLogout = "sso-logout"

// SignedOut ends what came of these sessions of ODCM, and tells the relying parties that listen. Without sessions it ends all
// that the user has, refresh tokens too: the account was disabled.
func (s *Service) SignedOut(ctx context.Context, user odcm.UserID, sessions ...string) (err error) {
	defer odcm.Wrap(&err, "sign %s out of relying parties", user)
	if user == "" {
		return odcm.E(odcm.Internal, "", "whose sessions ended is not known")
	}
	s.sessions.forgetAll()
	s.people.forget(user)
	r := Revocation{User: user, Sessions: sessions, Offline: len(sessions) == 0, At: s.now(), Tell: true}
	ended, err := s.o.Store.Revoke(ctx, r, odcm.NewEvent(odcm.System, "party.signed-out", string(user), "", nil, nil))
	if err == nil && ended > 0 {
		s.wake()
	}
	return err
}

// SignOutRequest is a relying party's request to sign somebody out (OpenID Connect RP-Initiated Logout 1.0 section 2).
type SignOutRequest struct {
	Hint   string // id_token_hint
	Client PartyID
	To     string // post_logout_redirect_uri
	State  string
}

// SignOut is what becomes of it: whether to ask first, and where to go in the end.
type SignOut struct {
	Party  string // its name, "" where none is known
	Back   string // where to go, "" for ODCM's own page
	Ticket string // of the page that asks; "" where the hint proves that the person's own relying party asks
}

type signOutTicket struct {
	Session string  `json:"s"`
	Back    string  `json:"b"`
	Party   PartyID `json:"p"`
	Until   int64   `json:"e"`
}

// SignOut reads a request to sign out. The person is asked unless the hint is of the session that is signed in: a link on any
// page must not sign people out. An address to go to is used only where it is registered for a client that is known.
func (s *Service) SignOut(ctx context.Context, in SignOutRequest, session string) (out SignOut, err error) {
	if len(in.State) > maxState || len(in.To) > maxURI {
		return out, odcm.E(odcm.Invalid, "sso.request-too-large", "The application that sent you here asks in more words than any needs to.")
	}
	hint, err := s.hint(ctx, in.Hint, in.Client)
	if err != nil {
		s.refused(ctx, in.Client, "", "id_token_hint that is not ours, to sign out")
		return out, odcm.E(odcm.Invalid, "sso.hint", "The application that sent you here names you by a token that is not ODCM's.").Because(err)
	}
	client := in.Client
	if in.Hint != "" {
		client = PartyID(hint.Audience[0])
	}
	if client != "" {
		p, err := s.party(ctx, client)
		if odcm.KindOf(err) == odcm.NotFound {
			return out, odcm.E(odcm.Invalid, "sso.client-unknown", "ODCM does not know the application that sent you here.")
		}
		if err != nil {
			return out, err
		}
		out.Party = p.Name
		if in.To != "" && !slices.Contains(p.PostLogoutURIs, in.To) {
			s.refused(ctx, p.ID, "", "post_logout_redirect_uri that is not registered")
			return out, odcm.E(odcm.Invalid, "sso.logout-redirect", "%s wants you sent to an address that is not registered for it.", p.Name)
		}
		out.Back = withState(in.To, in.State)
	} else if in.To != "" {
		return out, odcm.E(odcm.Invalid, "sso.logout-redirect", "The application that sent you here did not say who it is: ODCM sends nobody to an address that it does not know.")
	}
	if session == "" || in.Hint != "" && hint.SessionID == session {
		return out, nil
	}
	out.Ticket, err = s.o.Keys.Seal(useSignOut, signOutTicket{session, out.Back, client, s.now().Add(ticketLife).Unix()})
	return out, err
}

// ConfirmSignOut takes the answer of the page that asked, and says where to go.
func (s *Service) ConfirmSignOut(_ context.Context, ticket, session string) (back string, err error) {
	var t signOutTicket
	if err := s.o.Keys.Open(useSignOut, ticket, &t); err != nil || session == "" || t.Session != session || s.now().Unix() >= t.Until {
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

// retries say how long after each attempt the next one is made; after the last the relying party stays untold, and an event
// says so.
var retries = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}

// wake lets a replica look for logout tokens to deliver.
func (s *Service) wake() {
	select {
	case s.due <- struct{}{}:
	default:
	}
	s.o.Bus.Publish(TopicLogout)
}

// Run delivers logout tokens, drops what hints name from memory (what Bus.Subscribe("party", "user", TopicLogout) gives), and
// deletes hourly what has expired, until ctx ends or hints closes. Replicas may all run it.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	deliver, prune := time.NewTimer(0), time.NewTicker(time.Hour)
	defer deliver.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				return nil
			}
			if s.heard(topic) {
				deliver.Reset(0)
			}
		case <-s.due:
			deliver.Reset(0)
		case <-deliver.C:
			if next := s.deliverDue(ctx); !next.IsZero() {
				deliver.Reset(max(0, next.Sub(s.now())))
			}
		case <-prune.C:
			if err := s.o.Store.Prune(ctx, s.now()); err != nil && ctx.Err() == nil {
				s.o.Logger.ErrorContext(ctx, "prune grants", "error", err)
			}
		}
	}
}

// heard acts on a hint and tells whether to look for logout tokens.
func (s *Service) heard(topic string) bool {
	if id, ok := strings.CutPrefix(topic, "party/"); ok {
		s.parties.forget(PartyID(id))
	} else if id, ok := strings.CutPrefix(topic, "user/"); ok {
		s.people.forget(odcm.UserID(id))
		s.sessions.forgetAll()
	} else if topic != TopicLogout { // all: hints may have been lost
		s.parties.forgetAll()
		s.people.forgetAll()
		s.sessions.forgetAll()
		return true
	}
	return topic == TopicLogout
}

// deliverDue delivers what is due, some at once, and returns when to look again.
func (s *Service) deliverDue(ctx context.Context) (next time.Time) {
	const together, within = 16, 30 * time.Second
	if s.o.Backchannel == nil {
		return time.Time{}
	}
	due, next, err := s.o.Store.Logouts(ctx, s.now(), s.now().Add(2*within), together)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Logger.ErrorContext(ctx, "logout tokens", "error", err)
		}
		return s.now().Add(within)
	}
	var all sync.WaitGroup
	for _, l := range due {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			s.deliver(ctx, l)
		})
	}
	all.Wait()
	if len(due) == together {
		return s.now()
	}
	for _, l := range due { // those that failed come back sooner than what was known before
		if l.Attempts <= len(retries) {
			if again := s.now().Add(retries[l.Attempts-1]); next.IsZero() || again.Before(next) {
				next = again
			}
		}
	}
	return next
}

// deliver sends one logout token and writes how it went.
func (s *Service) deliver(ctx context.Context, l Logout) {
	p, err := s.party(ctx, l.Party)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.LogoutURI == "" {
		s.ended(ctx, l, nil)
		return
	}
	var token string
	if err == nil {
		now := s.now()
		token, err = s.o.Keys.Sign(ctx, p.Algorithm, "logout+jwt", &oidc.LogoutTokenClaims{
			Issuer: s.Issuer(), Subject: string(l.User), Audience: oidc.Audience{string(l.Party)}, SessionID: l.Session, JWTID: odcm.NewID[string]("logout"),
			IssuedAt: oidc.FromTime(now), Expiration: oidc.FromTime(now.Add(2 * time.Minute)),
			Events: map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
		})
	}
	if err == nil {
		err = s.o.Backchannel.Deliver(ctx, p.LogoutURI, token)
	}
	switch {
	case err == nil:
		s.ended(ctx, l, nil)
	case l.Attempts > len(retries):
		e := odcm.NewEvent(odcm.System, "party.logout-undelivered", string(l.Party), p.Name, nil, map[string]string{"user": string(l.User)})
		s.ended(ctx, l, &e)
	default:
		s.o.Logger.WarnContext(ctx, "a relying party was not told that somebody signed out", "party", l.Party, "attempt", l.Attempts, "error", err)
		if err := s.o.Store.RetryLogout(context.WithoutCancel(ctx), l.ID, s.now().Add(retries[l.Attempts-1])); err != nil {
			s.o.Logger.ErrorContext(ctx, "logout token", "error", err)
		}
	}
}

func (s *Service) ended(ctx context.Context, l Logout, e *odcm.Event) {
	if err := s.o.Store.EndLogout(context.WithoutCancel(ctx), l.ID, e); err != nil {
		s.o.Logger.ErrorContext(ctx, "logout token", "error", err)
	}
}
