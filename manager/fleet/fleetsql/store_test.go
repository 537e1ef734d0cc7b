package fleetsql_test

import (
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/fleet/fleettest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fleettest.Conform(t, d) })
}
