package entitlement

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
)

// Cookie is kept by a browser in which somebody signed in by way of ODCM. It lets nobody in while ODCM answers.
const Cookie = "odcm-known"

// cookieLife is how long a browser is known after a sign-in.
const cookieLife = 30 * 24 * time.Hour

// Door lets people in whom this server knows and the snapshot names, while ODCM does not answer.
type Door struct {
	*Keeper
	Service  *collection.Service
	Identity *identity.Service
}

// mark is what the cookie says, sealed.
type mark struct {
	User    string
	Subject string
	Issuer  string
	Made    time.Time
}

const place = "entitlement/known"

// Entrant is a user who has just signed in by the word of an issuer.
type Entrant struct {
	User            string
	Issuer, Subject string
	Secure          bool // the browser came over TLS
}

// Remember makes the cookie for a user who has just signed in by way of an ODCM. The first one makes it this server's
// companion, without waiting for the next refresh.
func (d *Door) Remember(ctx context.Context, e Entrant) (*http.Cookie, error) {
	companion, err := d.Companion(ctx)
	if err == nil && companion.Issuer != e.Issuer {
		if err = d.Refresh(ctx); err == nil {
			companion, err = d.Companion(ctx)
		}
	}
	if err != nil || companion.Issuer != e.Issuer {
		return nil, err
	}
	text, err := json.Marshal(mark{e.User, e.Subject, e.Issuer, d.Now().UTC()})
	if err != nil {
		return nil, err
	}
	sealed, err := d.Service.Seal(text, place)
	if err != nil {
		return nil, err
	}
	return &http.Cookie{Name: Cookie, Value: sealed, Path: "/", HttpOnly: true, Secure: e.Secure, SameSite: http.SameSiteStrictMode, MaxAge: int(cookieLife.Seconds())}, nil
}

// Offer is what a person at a known browser is offered while ODCM does not answer.
type Offer struct {
	Entitlement
	User, Username string
}

// Offered looks at the cookie: [ErrNone] where ODCM answers, or nobody may be let in by it.
func (d *Door) Offered(ctx context.Context, cookie string) (Offer, error) {
	if cookie == "" || len(cookie) > 4096 {
		return Offer{}, ErrNone
	}
	if err := d.Service.Ready(); err != nil {
		return Offer{}, err
	}
	text, err := d.Service.Unseal(cookie, place)
	if err != nil {
		return Offer{}, ErrNone
	}
	var m mark
	if err := json.Unmarshal(text, &m); err != nil || d.Now().Sub(m.Made) > cookieLife {
		return Offer{}, ErrNone
	}
	e, err := d.Entitled(ctx, m.Subject)
	if err != nil || e.Issuer != m.Issuer {
		return Offer{}, errors.Join(err, ErrNone)
	}
	user, err := d.Identity.ByID(ctx, m.User)
	if errors.Is(err, identity.ErrUnknown) { // disabled or deleted here
		return Offer{}, ErrNone
	}
	if err != nil {
		return Offer{}, err
	}
	if d.Reachable(ctx) {
		return Offer{}, ErrNone
	}
	return Offer{e, m.User, user.Username}, nil
}

// Enter starts a session that ends with the snapshot at the latest, with the groups that the snapshot gives.
func (d *Door) Enter(ctx context.Context, cookie, address string) (identity.Session, error) {
	offer, err := d.Offered(ctx, cookie)
	if err != nil {
		return identity.Session{}, err
	}
	principal := permission.System()
	principal.Address = address
	err = d.Service.Transact(ctx, collection.Request{Principal: principal}, func(c *collection.Change) error {
		c.Note("LoginSucceeded", "", offer.Username+" was let in by the entitlement snapshot of "+offer.Taken.Format(time.RFC3339)+", because ODCM did not answer",
			offer.Username, []string{offer.User}, collection.ChangeDetails{})
		regrouped, err := identity.SetGroups(c.Context, c.Tx, offer.User, offer.Slot, offer.Groups)
		if regrouped {
			c.Decides()
		}
		return err
	})
	if err != nil {
		return identity.Session{}, err
	}
	return d.Identity.StartUntil(ctx, offer.User, offer.Until)
}
