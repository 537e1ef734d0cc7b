package eventlog_test

import (
	"database/sql"
	"testing"

	"odcm"
	"odcm/kit/db/dbtest"
)

func BenchmarkAppend(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "PostgreSQL": dbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b, url(b))
			l := open(b, d)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					appendTo(b, l, d, event("space.enlisted", "space-1"))
				}
			})
		})
	}
}

func BenchmarkFollow(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "PostgreSQL": dbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b, url(b))
			l := open(b, d)
			events := make([]odcm.Event, 1000)
			for i := range events {
				events[i] = event("space.enlisted", "space-1")
			}
			for n := 0; n < b.N; n += len(events) {
				if err := d.Tx(b.Context(), func(tx *sql.Tx) error { return l.Append(b.Context(), tx, events...) }); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			n := 0
			for _, err := range l.Follow(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
				if n++; n >= b.N {
					break
				}
			}
		})
	}
}
