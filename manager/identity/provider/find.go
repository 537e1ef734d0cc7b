package provider

import (
	"context"
	"strings"

	"odcm"
	"odcm/manager/identity/person"
)

// maxFound bounds what a picker shows.
const maxFound = 50

// FindGroups looks in a provider for groups whose name contains the text, for pickers.
func (s *Service) FindGroups(ctx context.Context, p odcm.Principal, id odcm.ProviderID, text string, limit int) (_ []person.ExternalGroup, err error) {
	defer odcm.Wrap(&err, "find groups in %s", id)
	d, err := s.directory(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return d.FindGroups(ctx, strings.TrimSpace(text), bound(limit))
}

// FindPeople looks in a provider for people whose name contains the text, for pickers.
func (s *Service) FindPeople(ctx context.Context, p odcm.Principal, id odcm.ProviderID, text string, limit int) (_ []person.Assertion, err error) {
	defer odcm.Wrap(&err, "find people in %s", id)
	d, err := s.directory(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return d.FindPeople(ctx, strings.TrimSpace(text), bound(limit))
}

func bound(limit int) int {
	if limit <= 0 || limit > maxFound {
		return maxFound
	}
	return limit
}

func (s *Service) directory(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (Directory, error) {
	if err := s.o.Authorizer.Authorize(ctx, p, ActionFind, string(id)); err != nil {
		return nil, err
	}
	source, err := s.Source(ctx, id)
	if err != nil {
		return nil, err
	}
	d, ok := source.(Directory)
	if !ok {
		return nil, odcm.E(odcm.Unsupported, "provider.no-directory", "This provider cannot be searched.")
	}
	return d, nil
}
