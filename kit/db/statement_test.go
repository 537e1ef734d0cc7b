package db_test

import (
	"database/sql"
	"fmt"
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

// TestKeptStatementsStayApart runs one text twice at a time in a transaction, across a change of the schema, and more texts
// than a connection keeps.
func TestKeptStatementsStayApart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		things(t, d)
		const all = `SELECT id FROM thing ORDER BY id`
		ids := func(q db.Querier) (n int) {
			rows, err := q.QueryContext(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				n++
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return n
		}
		want := ids(d.Read())
		if !d.Postgres() { // whose connection answers one query at a time
			err := d.Tx(t.Context(), func(tx *sql.Tx) error {
				rows, err := tx.QueryContext(t.Context(), all)
				if err != nil {
					return err
				}
				defer rows.Close()
				for n := 0; rows.Next(); n++ {
					if inner := ids(tx); inner != want {
						t.Errorf("row %d: %d rows within, want %d", n, inner, want)
					}
				}
				return rows.Err()
			})
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := d.Write().ExecContext(t.Context(), `ALTER TABLE thing ADD COLUMN more TEXT NOT NULL DEFAULT 'x'`); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			var n int
			if err := d.Read().QueryRowContext(t.Context(), fmt.Sprintf(`SELECT count(*) + %d FROM thing WHERE more = $1`, i), "x").Scan(&n); err != nil || n != want+i {
				t.Fatalf("text %d: %d, %v; want %d", i, n, err, want+i)
			}
		}
		if n := ids(d.Read()); n != want {
			t.Errorf("%d rows at last, want %d", n, want)
		}
	})
}
