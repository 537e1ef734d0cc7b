package lease

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/db"
)

//go:embed schema/*.sql
var files embed.FS

// Store keeps the leases of one house.
type Store struct {
	d     *db.DB
	start time.Time // with its monotone reading
}

// Lease is the right of one owner to a name.
type Lease struct {
	Name  string
	Owner string
	// Fence grows whenever the name changes hands, also back to the same owner.
	Fence int64
	// Expires is when another may take it unless it is renewed, on the clock of the database: for people, not for
	// comparing with the clock of this machine.
	Expires time.Time
}

// New makes the tables where they are missing.
func New(ctx context.Context, d *db.DB) (_ *Store, err error) {
	defer odcm.Wrap(&err, "open leases")
	schema, err := fs.Sub(files, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "lease", schema); err != nil {
		return nil, err
	}
	return &Store{d: d, start: time.Now()}, nil
}

// now is SQL for the current time in milliseconds. clock_timestamp and not now(), which is when the transaction began:
// it may have waited for a lock since.
func (s *Store) now() string {
	if s.d.Postgres() {
		return "(extract(epoch from clock_timestamp()) * 1000)::bigint"
	}
	return strconv.FormatInt(s.start.UnixMilli()+time.Since(s.start).Milliseconds(), 10)
}

// Acquire takes the lease for the owner where nobody else holds it, or renews the owner's own, whose fence then stays.
// Where someone else holds it the kind is [odcm.Conflict] and the code "lease.held".
func (s *Store) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (_ Lease, err error) {
	defer odcm.Wrap(&err, "acquire lease %s", name)
	var got []Lease
	err = s.d.Tx(ctx, func(tx *sql.Tx) (err error) {
		got, err = s.acquire(ctx, tx, []string{name}, owner, ttl)
		return err
	})
	if err != nil {
		return Lease{}, err
	}
	if len(got) == 0 {
		return Lease{}, odcm.E(odcm.Conflict, "lease.held", "%s is held by another replica: try again later", name)
	}
	return got[0], nil
}

// acquire takes or renews what it can of the names and returns those leases. Names must be sorted, so that two
// transactions lock rows in the same order.
func (s *Store) acquire(ctx context.Context, tx *sql.Tx, names []string, owner string, ttl time.Duration) ([]Lease, error) {
	now := s.now()
	query, args := `INSERT INTO lease (name, owner, fence, expires_at) VALUES `, []any{owner, ttl.Milliseconds()}
	for i, name := range names {
		if i > 0 {
			query += ", "
		}
		args = append(args, name)
		query += "($" + strconv.Itoa(len(args)) + ", $1, 1, " + now + " + $2)"
	}
	return db.Collect(ctx, tx, scan, query+`
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = `+now+` + $2,
  fence = CASE WHEN lease.owner = excluded.owner AND lease.expires_at > `+now+` THEN lease.fence ELSE lease.fence + 1 END
WHERE lease.owner = excluded.owner OR lease.expires_at <= `+now+`
RETURNING name, owner, fence, expires_at`, args...)
}

func scan(r db.Row) (l Lease, err error) {
	var expires int64
	err = r.Scan(&l.Name, &l.Owner, &l.Fence, &expires)
	l.Expires = db.Time(expires)
	return l, err
}

// Renew gives the lease another ttl from now. Where it ended meanwhile, even if nobody took it, the kind is
// [odcm.Conflict] and the code "lease.lost".
func (s *Store) Renew(ctx context.Context, l Lease, ttl time.Duration) (_ Lease, err error) {
	defer odcm.Wrap(&err, "renew lease %s", l.Name)
	var renewed Lease
	err = s.d.Tx(ctx, func(tx *sql.Tx) (err error) {
		renewed, err = scan(tx.QueryRowContext(ctx, `UPDATE lease SET expires_at = `+s.now()+` + $4
WHERE name = $1 AND owner = $2 AND fence = $3 AND expires_at > `+s.now()+` RETURNING name, owner, fence, expires_at`,
			l.Name, l.Owner, l.Fence, ttl.Milliseconds()))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{}, lost(l.Name)
	}
	return renewed, err
}

// Release gives the lease back, so that another can take it at once. It does nothing where the lease is no longer the
// owner's.
func (s *Store) Release(ctx context.Context, l Lease) (err error) {
	defer odcm.Wrap(&err, "release lease %s", l.Name)
	return s.d.Tx(ctx, func(tx *sql.Tx) error {
		return release(ctx, tx, l.Name, l.Owner, l.Fence)
	})
}

func release(ctx context.Context, tx *sql.Tx, name, owner string, fence int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE lease SET owner = '', expires_at = 0 WHERE name = $1 AND owner = $2 AND fence = $3`,
		name, owner, fence)
	return err
}

// Check makes the transaction succeed only while nobody else has taken the lease: nobody can until it ends. Where the
// fence is no longer current the kind is [odcm.Conflict] and the code "lease.lost". A lease whose time is over passes
// while it is still the last. Renewals wait for the transaction too, so keep it short.
func (s *Store) Check(ctx context.Context, tx *sql.Tx, l Lease) (err error) {
	defer odcm.Wrap(&err, "check lease %s", l.Name)
	query := `SELECT 1 FROM lease WHERE name = $1 AND owner = $2 AND fence = $3`
	if s.d.Postgres() {
		query += ` FOR SHARE` // on SQLite there is no other writer beside this transaction
	}
	var one int
	err = tx.QueryRowContext(ctx, query, l.Name, l.Owner, l.Fence).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return lost(l.Name)
	}
	return err
}

func lost(name string) error {
	return odcm.E(odcm.Conflict, "lease.lost", "%s is no longer held by this replica", name)
}
