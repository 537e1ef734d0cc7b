package provider

import (
	"context"
	"time"

	"odcm"
)

// testWithin bounds a test of a provider's settings.
const testWithin = time.Minute

// StartTest begins to try the settings as they are saved, enabled or not, and returns. Each finding is written as it comes:
// [Provider.Test] holds them, and [Topic] is published.
func (s *Service) StartTest(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (err error) {
	defer odcm.Wrap(&err, "test provider %s", id)
	source, t, err := s.beginTest(ctx, p, id)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // whoever asked need not wait
	s.background.Go(func() {
		if _, err := s.runTest(ctx, id, source, t); err != nil {
			s.o.Logger.WarnContext(ctx, "a provider's test was not written", "provider", id, "error", err)
		}
	})
	return nil
}

// Test does what StartTest does, and returns when it is done.
func (s *Service) Test(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (_ Test, err error) {
	defer odcm.Wrap(&err, "test provider %s", id)
	source, t, err := s.beginTest(ctx, p, id)
	if err != nil {
		return Test{}, err
	}
	return s.runTest(ctx, id, source, t)
}

func (s *Service) beginTest(ctx context.Context, p odcm.Principal, id odcm.ProviderID) (Source, Test, error) {
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEdit, string(id)); err != nil {
		return nil, Test{}, err
	}
	r, err := s.o.Store.Provider(ctx, id)
	if err != nil {
		return nil, Test{}, err
	}
	connector, ok := s.connectors[r.Kind]
	if !ok {
		return nil, Test{}, odcm.E(odcm.Unsupported, "provider.kind-unknown", "This ODCM has no providers of the kind %q.", r.Kind)
	}
	opened, err := s.unseal(r)
	if err != nil {
		return nil, Test{}, err
	}
	source, err := connector.Open(opened, s.o.ReturnURL(id))
	if err != nil {
		return nil, Test{}, err
	}
	t := Test{Started: s.now()}
	return source, t, s.saveTest(ctx, id, t)
}

func (s *Service) saveTest(ctx context.Context, id odcm.ProviderID, t Test) error {
	if err := s.o.Store.SetTest(ctx, id, t); err != nil {
		return err
	}
	s.o.Bus.Publish(Topic(id))
	return nil
}

func (s *Service) runTest(ctx context.Context, id odcm.ProviderID, source Source, t Test) (Test, error) {
	defer func() { _ = source.Close() }() // what was found is what counts
	asked, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	source.Test(asked, func(f Finding) {
		t.Findings = append(t.Findings, f)
		if err := s.saveTest(ctx, id, t); err != nil {
			s.o.Logger.WarnContext(ctx, "a finding was not written", "provider", id, "error", err)
		}
	})
	t.Ended = s.now()
	return t, s.saveTest(context.WithoutCancel(ctx), id, t)
}

// OK tells whether the test ended with nothing wrong.
func (t Test) OK() bool {
	for _, f := range t.Findings {
		if !f.OK {
			return false
		}
	}
	return !t.Ended.IsZero()
}
