package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// reading is a world in which one directory of n linked people is read in the background.
func reading(t *testing.T, n int) (*world, provider.Provider, *fake) {
	t.Helper()
	w := open(t)
	f := w.fakes["one"]
	for i := range n {
		subject := fmt.Sprintf("s%04d", i)
		w.people.subjects = append(w.people.subjects, subject)
		f.people[subject] = in("developers")
	}
	p := w.add("one", 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx, w.bus.subscribe())
	}()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return w, p, f
}

// in is somebody who is in the groups.
func in(groups ...string) provider.Person {
	p := provider.Person{Assertion: person.Assertion{GroupsKnown: true}}
	for _, g := range groups {
		p.Groups = append(p.Groups, person.ExternalGroup{ID: g, Name: g})
	}
	return p
}

func (w *world) sync(id odcm.ProviderID) provider.Sync {
	w.t.Helper()
	p, err := w.Get(context.Background(), odcm.System, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Sync
}

// later lets so much time pass.
func later(d time.Duration) {
	time.Sleep(d) // of the bubble's own clock
	synctest.Wait()
}

func TestEverybodyIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p, _ := reading(t, 1234)
		if s := w.sync(p.ID); s.People != 1234 || s.Groups != 1 || s.Memberships != 1234 || s.Error != "" || s.Succeeded.IsZero() {
			t.Errorf("%+v", s)
		}
		if len(w.people.seen) != 1234 || !w.people.of("s1233").GroupsKnown {
			t.Errorf("%d seen", len(w.people.seen))
		}
	})
}

func TestChangesAreSeenWithinSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, f := reading(t, 10)
		before := f.reads
		later(time.Minute)
		if f.reads != before {
			t.Errorf("%d readings though nothing changed", f.reads-before)
		}
		f.set(func(f *fake) {
			f.people["s0003"] = provider.Person{Disabled: true}
			f.people["s0004"] = in("operators") // not told: not read
			f.changed = []string{"s0003", "stranger"}
		})
		later(10 * time.Second)
		if o := w.people.of("s0003"); !o.Disabled {
			t.Errorf("%+v", o)
		}
		if _, ok := w.people.seen["stranger"]; ok || w.people.of("s0004").Groups[0].ID != "developers" {
			t.Error("others were read")
		}
		f.set(func(f *fake) { delete(f.people, "s0005"); f.changed = []string{"s0005"} })
		later(10 * time.Second)
		if o := w.people.of("s0005"); o.Gone {
			t.Error("that somebody is gone was believed without reading the whole")
		}
		f.set(func(f *fake) { f.all = true })
		later(10 * time.Second)
		if o := w.people.of("s0004"); o.Groups[0].ID != "operators" {
			t.Errorf("%+v", o)
		}
	})
}

func TestABusyDirectoryIsNotReadAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, _, f := reading(t, 5)
		f.set(func(f *fake) { f.slow = 10 * time.Second })
		before := f.count()
		for range 100 { // groups change all the time
			f.set(func(f *fake) { f.all = true })
			later(5 * time.Second)
		}
		if n := f.count() - before; n < 8 || n > 12 {
			t.Errorf("read %d times in 500 s, for 10 s each", n)
		}
	})
}

func TestAnUnreadableDirectoryTakesNothingAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p, f := reading(t, 10)
		calls, succeeded := w.people.calls, w.sync(p.ID).Succeeded
		f.set(func(f *fake) { f.err = odcm.E(odcm.Unavailable, "ldap.unavailable", "It does not answer.") })
		later(3 * time.Hour)
		if s := w.sync(p.ID); s.Error != "It does not answer." || !s.Succeeded.Equal(succeeded) || s.People != 10 || w.people.calls != calls {
			t.Errorf("%+v, %d calls", s, w.people.calls-calls)
		}
		if n := count(w, "provider.sync-failed"); n != 1 {
			t.Errorf("%d events", n)
		}
		f.set(func(f *fake) { f.err = nil })
		later(6 * time.Minute)
		if s := w.sync(p.ID); s.Error != "" || !s.Succeeded.After(succeeded) {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

func TestOneUnreadableDirectoryDoesNotDisturbAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, one, f := reading(t, 5)
		w.fakes["two"].people = f.people
		f.set(func(f *fake) { f.err = errors.New("secret words of the network") })
		two := w.add("two", 2)
		later(2 * time.Hour)
		if s := w.sync(two.ID); s.People != 5 || s.Error != "" || time.Since(s.Succeeded) > time.Hour {
			t.Errorf("%+v", s)
		}
		if s := w.sync(one.ID); s.Error == "" || strings.Contains(s.Error, "secret words") {
			t.Errorf("%+v", s)
		}
	})
}

func TestADirectoryThatReturnsNothingIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now  func(f *fake)
		held bool
	}{
		"everybody vanished": {func(f *fake) { clear(f.people) }, true},
		"a fifth vanished": {func(f *fake) {
			for i := range 20 {
				delete(f.people, fmt.Sprintf("s%04d", i))
			}
		}, true},
		"a few left": {func(f *fake) {
			for i := range 5 {
				delete(f.people, fmt.Sprintf("s%04d", i))
			}
		}, false},
		"all groups are empty": {func(f *fake) {
			for s := range f.people {
				f.people[s] = in()
			}
		}, true},
		"half the groups are empty": {func(f *fake) {
			for i := range 50 {
				f.people[fmt.Sprintf("s%04d", i)] = in()
			}
		}, true},
		"groups could not be read": {func(f *fake) {
			for s := range f.people {
				f.people[s] = provider.Person{}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, p, f := reading(t, 100)
				calls := w.people.calls
				f.set(c.now)
				later(2 * time.Hour)
				s := w.sync(p.ID)
				if (s.Held != "") != c.held || (w.people.calls == calls) != c.held {
					t.Fatalf("%+v, %d calls", s, w.people.calls-calls)
				}
				if !c.held {
					return
				}
				if count(w, "provider.sync-held") != 1 || s.People != 100 || s.Memberships != 100 {
					t.Errorf("%+v", s)
				}
				if err := w.SyncNow(t.Context(), odcm.System, p.ID, false); err != nil {
					t.Fatal(err)
				}
				later(time.Second)
				if s := w.sync(p.ID); s.Held == "" {
					t.Error("asking again made it count")
				}
				if err := w.SyncNow(t.Context(), odcm.System, p.ID, true); err != nil {
					t.Fatal(err)
				}
				later(time.Second)
				if s := w.sync(p.ID); s.Held != "" || s.Accepted || s.Memberships == 100 || w.people.calls == calls {
					t.Errorf("accepted: %+v", s)
				}
			})
		})
	}
}

func TestWhoIsDisabledLosesAccessThoughTheReadingIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p, f := reading(t, 20)
		f.set(func(f *fake) {
			clear(f.people)
			f.people["s0007"] = provider.Person{Disabled: true}
		})
		later(2 * time.Hour)
		if s := w.sync(p.ID); s.Held == "" {
			t.Fatalf("%+v", s)
		}
		if o := w.people.of("s0007"); !o.Disabled || w.people.of("s0008").Gone {
			t.Errorf("%+v", o)
		}
	})
}

func TestOtherSettingsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p, f := reading(t, 5)
		w.fakes["two"].set(func(two *fake) { two.people = f.people })
		p.Settings = map[string]string{"which": "two"}
		if _, err := w.Update(t.Context(), odcm.System, p); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.fakes["two"].reads == 0 {
			t.Error("the other directory was not read")
		}
		now, err := w.Get(t.Context(), odcm.System, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		now.Enabled = false
		if _, err := w.Update(t.Context(), odcm.System, now); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		reads := w.fakes["two"].reads
		later(3 * time.Hour)
		if w.fakes["two"].reads != reads {
			t.Error("a directory that is switched off is read")
		}
		if err := w.SyncNow(t.Context(), odcm.System, p.ID, false); odcm.CodeOf(err) != "provider.disabled" {
			t.Errorf("%v", err)
		}
	})
}

func count(w *world, typ string) (n int) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	for _, e := range w.store.events {
		if strings.HasPrefix(e, typ+" ") {
			n++
		}
	}
	return n
}
