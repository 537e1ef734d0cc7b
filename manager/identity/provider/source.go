package provider

import (
	"context"
	"errors"
	"time"

	"odcm"
	"odcm/kit/signal"
)

// loaded is what is known of the enabled providers, and the sources that were opened.
type loaded struct {
	at      time.Time // zero: read again
	epoch   uint64    // grows when it is forgotten
	records []Record  // enabled, by order
	opened  map[odcm.ProviderID]*opened
}

type opened struct {
	revision int64
	source   Source
	err      error // why it cannot be opened
}

// believeFor is how long the list is believed where no hint says otherwise.
const believeFor = 15 * time.Second

// Enabled lists the providers that people may sign in by, in their order, without secrets. It is cheap.
func (s *Service) Enabled(ctx context.Context) ([]Provider, error) {
	records, err := s.enabled(ctx)
	list := make([]Provider, len(records))
	for i, r := range records {
		list[i] = r.shown()
	}
	return list, err
}

func (s *Service) enabled(ctx context.Context) ([]Record, error) {
	s.mu.Lock()
	fresh := !s.loaded.at.IsZero() && s.now().Sub(s.loaded.at) < believeFor
	records, epoch := s.loaded.records, s.loaded.epoch
	s.mu.Unlock()
	if fresh {
		return records, nil
	}
	all, err := s.o.Store.Providers(ctx)
	if err != nil {
		return nil, err
	}
	var list []Record
	for _, r := range all {
		if _, known := s.connectors[r.Kind]; r.Enabled && known {
			list = append(list, r)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch == s.loaded.epoch { // else something changed while it was read: whoever comes next reads again
		s.loaded.at, s.loaded.records = s.now(), list
		s.drop(list)
	}
	return list, nil
}

// drop closes the sources whose providers are gone, disabled or changed.
func (s *Service) drop(list []Record) {
	revisions := make(map[odcm.ProviderID]int64, len(list))
	for _, r := range list {
		revisions[r.ID] = r.Revision
	}
	for id, o := range s.loaded.opened {
		if revisions[id] != o.revision {
			s.close(id, o)
		}
	}
}

func (s *Service) close(id odcm.ProviderID, o *opened) {
	delete(s.loaded.opened, id)
	if o.source != nil {
		if err := o.source.Close(); err != nil {
			s.o.Logger.Warn("a provider's source did not close", "provider", id, "error", err)
		}
	}
}

// forget makes the next question read the providers again.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded.at = time.Time{}
	s.loaded.epoch++
}

// heard takes a hint of the bus, and tells which provider it is about: "" for any.
func (s *Service) heard(topic string) odcm.ProviderID {
	s.forget()
	if topic == signal.All || len(topic) < len("provider/") {
		return ""
	}
	return odcm.ProviderID(topic[len("provider/"):])
}

// Source returns what an enabled provider can do: NotFound where there is none enabled with the identifier. It was opened
// once, and is another one after the settings have changed: do not keep it.
func (s *Service) Source(ctx context.Context, id odcm.ProviderID) (_ Source, err error) {
	defer odcm.Wrap(&err, "open provider %s", id)
	records, err := s.enabled(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.ID == id {
			return s.open(r)
		}
	}
	return nil, odcm.E(odcm.NotFound, "provider.not-found", "There is no such way to sign in, or it is switched off.")
}

func (s *Service) open(r Record) (Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.loaded.opened[r.ID]; ok {
		if o.revision >= r.Revision {
			return o.source, o.err
		}
		s.close(r.ID, o)
	}
	o := &opened{revision: r.Revision}
	var p Provider
	if p, o.err = s.unseal(r); o.err == nil {
		o.source, o.err = s.connectors[r.Kind].Open(p, s.o.ReturnURL(r.ID))
	}
	if s.loaded.opened == nil {
		s.loaded.opened = map[odcm.ProviderID]*opened{}
	}
	s.loaded.opened[r.ID] = o
	return o.source, o.err
}

// Close lets go of all sources and waits for tests under way.
func (s *Service) Close() error {
	s.background.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for id, o := range s.loaded.opened {
		if o.source != nil {
			errs = append(errs, o.source.Close())
		}
		delete(s.loaded.opened, id)
	}
	return errors.Join(errs...)
}
