package eventlog_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
)

func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "eventlog")
	defer os.RemoveAll(dir)
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "odcm.db"), db.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	bus, _ := signal.New(ctx, d)
	defer bus.Close()
	events, _ := eventlog.New(ctx, d, bus)

	go func() {
		_ = d.Tx(ctx, func(tx *sql.Tx) error {
			// The change itself comes first, its event last.
			return events.Append(ctx, tx, odcm.NewEvent(odcm.System, "space.enlisted", "space-1", "Engineering", nil, nil))
		})
	}()
	for e, err := range events.Follow(ctx, 0) {
		fmt.Println(e.ID, e.Type, e.Name, e.By, err)
		break
	}
	// Output: 1 space.enlisted Engineering ODCM <nil>
}
