package fleetagents

import (
	"context"
	"time"

	"odcm"
	"odcm/agentapi"
	"odcm/manager/fleet"
)

// Token makes a one-time enrolment token in the form that an agent takes. A life of zero is the default.
func Token(ctx context.Context, f *fleet.Service, p odcm.Principal, note string, life time.Duration) (string, error) {
	t, err := f.CreateToken(ctx, p, note, life, func(secret string) string { return agentapi.Token{Secret: secret}.Hash() })
	if err != nil {
		return "", err
	}
	return agentapi.Token{Secret: t.Secret, Authority: t.Authority}.String(), nil
}
