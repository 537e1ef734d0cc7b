package grant

import (
	"context"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// consentTicket is what a page that asks for consent holds: the request, sealed, for this session only. It is what makes the
// answer unforgeable, beside the check of where the form was sent from.
type consentTicket struct {
	Request string `json:"r"`
	Session string `json:"s"`
	Until   int64  `json:"e"` // Unix seconds
}

// consented tells whether the person has allowed all that is asked for. prompt=consent asks again.
func (s *Service) consented(ctx context.Context, q request, user odcm.UserID) (bool, error) {
	for _, p := range q.Prompt {
		if p == oidc.PromptConsent {
			return false, nil
		}
	}
	c, err := s.o.Store.Consent(ctx, user, q.party.ID)
	if odcm.KindOf(err) == odcm.NotFound {
		return false, nil
	}
	for _, scope := range q.Scopes {
		if !may(c.Scopes, scope) {
			return false, err
		}
	}
	return true, err
}

// Consented takes the person's answer to [Ask] and goes on with the request.
func (s *Service) Consented(ctx context.Context, ticket, session string, allow bool) (Answer, error) {
	var t consentTicket
	if err := s.o.Keys.Open(useConsent, ticket, &t); err != nil || t.Session != session || session == "" || s.now().Unix() >= t.Until {
		return Answer{}, odcm.E(odcm.Invalid, "sso.ticket", "This question is not open any more: go back to the application and sign in again.").Because(err)
	}
	values, err := url.ParseQuery(t.Request)
	if err != nil {
		return Answer{}, err
	}
	q, err := s.read(ctx, values)
	if err != nil {
		return s.fail(q, err)
	}
	who, err := s.Session(ctx, session)
	if err != nil {
		return Answer{}, err
	}
	if !allow {
		return s.fail(q, oidc.ErrAccessDenied().WithDescription("the person did not allow it"))
	}
	person, err := s.person(ctx, who.User)
	if err != nil {
		return Answer{}, err
	}
	by := odcm.Principal{User: who.User, Name: person.DisplayName, Via: "session"}
	c := Consent{User: who.User, Party: q.party.ID, Scopes: strings.Join(q.Scopes, " "), Given: s.now()}
	if err := s.o.Store.SaveConsent(ctx, c, odcm.NewEvent(by, "party.consented", string(q.party.ID), q.party.Name, nil, map[string]string{"scopes": c.Scopes})); err != nil {
		return Answer{}, err
	}
	if _, err := s.ClaimsOf(ctx, q.party, who.User, q.Scopes); err != nil {
		return Answer{}, err
	}
	return s.reply(ctx, q, who)
}

// withdraw takes a consent back, where there is one.
func (s *Service) withdraw(ctx context.Context, by odcm.Principal, user odcm.UserID, p sso.Party) error {
	_, err := s.o.Store.Consent(ctx, user, p.ID)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return s.o.Store.SaveConsent(ctx, Consent{User: user, Party: p.ID}, odcm.NewEvent(by, "party.consent-withdrawn", string(p.ID), p.Name, nil, nil))
}

// Consents lists what a person allowed.
func (s *Service) Consents(ctx context.Context, user odcm.UserID) ([]Consent, error) {
	return s.o.Store.Consents(ctx, user)
}
