package eventlog

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
)

// pruneBatch bounds one transaction of Prune, so that writers wait milliseconds for it and not seconds.
const pruneBatch = 1000

// Prune deletes the events before the time, oldest first, in short transactions, and returns how many. When it returns an
// error, what was deleted stays deleted. It leaves no holes: where a clock was set back and an older event comes after a
// younger one, it stops at the younger one.
func (l *Log) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	defer odcm.Wrap(&err, "prune events")
	var next, end int64 // delete from next until before end
	if err := l.d.Read().QueryRowContext(ctx, `SELECT
COALESCE((SELECT MIN(id) FROM event), 0),
COALESCE((SELECT id FROM event WHERE time >= $1 ORDER BY id LIMIT 1), (SELECT id + 1 FROM event_last WHERE one = 1))`,
		db.Millis(before)).Scan(&next, &end); err != nil {
		return 0, err
	}
	for ; next < end; next += pruneBatch {
		var n int64
		err := l.d.Tx(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM event WHERE id >= $1 AND id < $2`, next, min(next+pruneBatch, end))
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return deleted, err
		}
		deleted += n
	}
	return deleted, nil
}
