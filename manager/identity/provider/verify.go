package provider

import (
	"context"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

const (
	verifyWithin = 10 * time.Second // one provider's answer
	downFor      = 30 * time.Second // one that did not answer is asked after the others for so long
)

// Verify checks what a person typed with the enabled providers that take passwords. EXAMPLE\bob and bob@example.com choose
// the provider whose domain that is; otherwise all are asked in their order. The first that knows the user decides. One that
// does not answer hides no other: it is said only where nobody else knows the user.
//
// Who is not known and what is not right give the same Unauthenticated "identity.sign-in-failed".
func (s *Service) Verify(ctx context.Context, username, password string) (_ person.Assertion, err error) {
	defer odcm.Wrap(&err, "verify with providers")
	if username == "" || password == "" { // a directory takes a bind without a password for an anonymous one (RFC 4513 section 5.1.2)
		return person.Assertion{}, wrongCredentials()
	}
	records, err := s.enabled(ctx)
	if err != nil {
		return person.Assertion{}, err
	}
	var silent error
	for _, c := range s.candidates(records, username) {
		asked, cancel := context.WithTimeout(ctx, verifyWithin)
		a, err := c.passwords.Verify(asked, username, password)
		cancel()
		switch odcm.KindOf(err) {
		case "":
			s.answered(c.record.ID, true)
			return a, nil
		case odcm.NotFound:
			s.answered(c.record.ID, true)
		case odcm.Unauthenticated:
			return person.Assertion{}, wrongCredentials()
		case odcm.Denied:
			return person.Assertion{}, err
		default:
			if ctx.Err() != nil {
				return person.Assertion{}, ctx.Err()
			}
			s.answered(c.record.ID, false)
			s.o.Logger.WarnContext(ctx, "a provider does not answer", "provider", c.record.ID, "name", c.record.Name, "error", err)
			silent = odcm.E(odcm.Unavailable, "provider.silent", "%s does not answer at this moment: try again in a minute.", c.record.Name).Because(err)
		}
	}
	if silent != nil {
		return person.Assertion{}, silent
	}
	return person.Assertion{}, wrongCredentials()
}

func wrongCredentials() error {
	return odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "The username or the password is not right.")
}

type candidate struct {
	record    Record
	passwords Passwords
	down      int // 1 where it did not answer a moment ago
}

// candidates are the providers to ask, in order.
func (s *Service) candidates(records []Record, username string) []candidate {
	var all, chosen []candidate
	domain := domainOf(username)
	for _, r := range records {
		source, err := s.open(r)
		if err != nil {
			s.o.Logger.Warn("a provider cannot be used", "provider", r.ID, "error", err)
			continue
		}
		passwords, ok := source.(Passwords)
		if !ok {
			continue
		}
		c := candidate{r, passwords, s.isDown(r.ID)}
		all = append(all, c)
		if d, ok := source.(Domains); ok && domain != "" &&
			slices.ContainsFunc(d.Domains(), func(name string) bool { return strings.EqualFold(name, domain) }) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 { // bob@example.com may be an address of any of them
		chosen = all
	}
	slices.SortStableFunc(chosen, func(a, b candidate) int { return a.down - b.down })
	return chosen
}

// domainOf is what stands before the backslash or after the last @.
func domainOf(username string) string {
	if domain, _, ok := strings.Cut(username, `\`); ok {
		return domain
	}
	if i := strings.LastIndexByte(username, '@'); i >= 0 {
		return username[i+1:]
	}
	return ""
}

func (s *Service) answered(id odcm.ProviderID, did bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if did {
		delete(s.down, id)
	} else {
		s.down[id] = s.now()
	}
}

func (s *Service) isDown(id odcm.ProviderID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.down[id]; ok && s.now().Sub(at) < downFor {
		return 1
	}
	return 0
}
