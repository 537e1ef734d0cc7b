package accesssql_test

import (
	"slices"
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/accesstest"
)

func TestGrantsConform(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		bus, err := signal.New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer bus.Close()
		log, err := eventlog.New(t.Context(), d, bus)
		if err != nil {
			t.Fatal(err)
		}
		s, err := accesssql.New(t.Context(), d, log)
		if err != nil {
			t.Fatal(err)
		}
		accesstest.Conformance(t, s, func() (types []string) {
			events, err := log.List(t.Context(), eventlog.Filter{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range slices.Backward(events) {
				types = append(types, e.Type)
			}
			return types
		})
	})
}
