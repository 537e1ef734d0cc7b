package scim

import (
	"context"

	"odcm"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
)

// PeopleOf makes the identity room the people of directories: whom one pushes is a linked identity, and what it says of
// somebody is a reading of his account.
func PeopleOf(s *identity.Service) People { return people{s} }

type people struct{ s *identity.Service }

func (p people) Put(ctx context.Context, provider odcm.ProviderID, who Person) (odcm.UserID, error) {
	id, err := p.s.Admit(ctx, person.Assertion{Provider: provider, Subject: who.Subject, Method: "scim", Username: who.Username,
		DisplayName: who.DisplayName, Email: who.Email, EmailVerified: who.EmailVerified, TrustEmail: who.EmailVerified})
	if err != nil {
		return "", err
	}
	_, err = p.s.Observe(ctx, provider, []person.Observation{{Subject: who.Subject, Disabled: !who.Active, Username: who.Username,
		DisplayName: who.DisplayName, Email: who.Email, EmailVerified: who.EmailVerified}})
	return id, err
}

func (p people) Remove(ctx context.Context, provider odcm.ProviderID, subject string) error {
	_, err := p.s.Observe(ctx, provider, []person.Observation{{Subject: subject, Gone: true}})
	return err
}
