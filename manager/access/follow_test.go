package access_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

// heardOf is a log whose reading fails at first.
type heardOf struct {
	fails  int
	events chan odcm.Event
}

func (h *heardOf) Last(context.Context) (odcm.EventID, error) {
	if h.fails--; h.fails >= 0 {
		return 0, errors.New("the database does not answer")
	}
	return 0, nil
}

func (h *heardOf) Follow(ctx context.Context, _ odcm.EventID) iter.Seq2[odcm.Event, error] {
	return func(yield func(odcm.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-h.events:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// TestNewNamesTouchTheSpacesOfTheirPerson shows which events name which Spaces, and that following goes on after a failure.
func TestNewNamesTouchTheSpacesOfTheirPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, _, s := accesstest.Company(t, func(o *access.Options) { o.Logger = slog.New(slog.DiscardHandler) })
		ctx, cancel := context.WithCancel(t.Context())
		told, ended := listen(s.Service), make(chan struct{})
		log := &heardOf{fails: 1, events: make(chan odcm.Event)}
		go func() {
			defer close(ended)
			_ = s.FollowPeople(ctx, log)
		}()
		time.Sleep(time.Minute)
		say := func(typ, subject string, before, after any) {
			log.events <- odcm.NewEvent(odcm.System, typ, subject, "", before, after)
			synctest.Wait()
		}
		type names struct {
			Username    string `json:"username"`
			DisplayName string `json:"displayName"`
			Disabled    bool   `json:"disabled"`
		}
		say("identity.signed-in", "user-bob", nil, nil)
		say("identity.user-updated", "user-bob", names{"bob", "Bob", false}, names{"bob", "Bob", true})
		say("identity.user-updated", "user-nobody", names{"x", "X", false}, names{"y", "Y", false})
		say("group.updated", "group-developers", nil, nil)
		if got := told(); len(got) != 0 {
			t.Errorf("told of %v for nothing", got)
		}
		for _, c := range []struct {
			typ, subject  string
			before, after any
			want          []odcm.SpaceID
		}{
			{"identity.user-updated", "user-bob", names{"bob", "Bob", false}, names{"bob", "Robert", false}, []odcm.SpaceID{"space-payments", "space-web-shop"}},
			{"identity.user-updated", "user-lisa", names{"lisa", "Lisa", false}, names{"elisabeth", "Lisa", false}, []odcm.SpaceID{"space-payments"}},
			{"identity.email-verified", "user-geoff", nil, map[string]string{"email": "geoff@example.com"}, []odcm.SpaceID{"space-payments"}},
			{"identity.email-chosen", "user-geoff", nil, nil, []odcm.SpaceID{"space-payments"}},
		} {
			told := listen(s.Service)
			say(c.typ, c.subject, c.before, c.after)
			if got := told(); !slices.Equal(got, c.want) {
				t.Errorf("%s of %s: told of %v, want %v", c.typ, c.subject, got, c.want)
			}
		}
		cancel()
		<-ended
	})
}

var _ access.Events = (*heardOf)(nil)
