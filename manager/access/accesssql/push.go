package accesssql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/access/roster"
)

// Appender appends events in the transaction of a change. kit/eventlog.Log is one.
type Appender interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Pushes is an [roster.Store] on a database.
type Pushes struct {
	db     *db.DB
	events Appender
}

var _ roster.Store = (*Pushes)(nil)

//go:embed pushschema/*.sql
var pushSchema embed.FS

// NewPushes makes or updates the tables and returns the store.
func NewPushes(ctx context.Context, d *db.DB, events Appender) (*Pushes, error) {
	steps, err := fs.Sub(pushSchema, "pushschema")
	if err != nil {
		return nil, err
	}
	return &Pushes{d, events}, d.Migrate(ctx, "access_push", steps)
}

// PushOf implements [roster.Store].
func (s *Pushes) PushOf(ctx context.Context, id odcm.SpaceID) (p roster.PushState, err error) {
	defer odcm.Wrap(&err, "read what was pushed to %s", id)
	p = roster.PushState{Space: id, Policy: roster.Repair}
	var applied, looked, revoke int64
	var making string
	err = s.db.Read().QueryRowContext(ctx, `SELECT instance_id, policy, wanted, revision, done, applied, looked, latest, failure, revoke_ms, making
		FROM access_push WHERE space_id = $1`, id).Scan(&p.Instance, &p.Policy, &p.Wanted, &p.Revision, &p.Done, &applied, &looked, &p.Latest, &p.Failure, &revoke, &making)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.Applied, p.Looked, p.Revoke = db.Time(applied), db.Time(looked), duration(revoke)
	return p, decode(making, &p.Making)
}

// SavePush implements [roster.Store].
func (s *Pushes) SavePush(ctx context.Context, p roster.PushState, events ...odcm.Event) (err error) {
	defer odcm.Wrap(&err, "save what was pushed to %s", p.Space)
	making, err := encode(p.Making)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_push (space_id, instance_id, policy, wanted, revision, done, applied, looked, latest, failure, revoke_ms, making)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) ON CONFLICT (space_id) DO UPDATE SET instance_id = excluded.instance_id, policy = excluded.policy,
			wanted = excluded.wanted, revision = excluded.revision, done = excluded.done, applied = excluded.applied, looked = excluded.looked,
			latest = excluded.latest, failure = excluded.failure, revoke_ms = excluded.revoke_ms, making = excluded.making`,
			p.Space, p.Instance, p.Policy, p.Wanted, p.Revision, p.Done, db.Millis(p.Applied), db.Millis(p.Looked), p.Latest, p.Failure, p.Revoke.Milliseconds(), making)
		return errors.Join(err, s.append(ctx, tx, events))
	})
}

func (s *Pushes) append(ctx context.Context, tx *sql.Tx, events []odcm.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.events.Append(ctx, tx, events...)
}

// Accounts implements [roster.Store].
func (s *Pushes) Accounts(ctx context.Context, id odcm.InstanceID) (_ []roster.Account, err error) {
	defer odcm.Wrap(&err, "list accounts of %s", id)
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (a roster.Account, err error) {
		var previous string
		var changed int64
		a.Instance = id
		err = row.Scan(&a.ID, &a.Username, &a.Person, &a.Decision, &a.Origin, &a.Managed, &a.Active, &a.Applied, &previous, &changed)
		if previous != "" {
			a.Previous = []byte(previous)
		}
		a.Changed = db.Time(changed)
		return a, err
	}, `SELECT account, username, person_id, decision, origin, managed, active, applied, previous, changed FROM access_account WHERE instance_id = $1 ORDER BY account`, id)
}

// SaveAccounts implements [roster.Store].
func (s *Pushes) SaveAccounts(ctx context.Context, rows []roster.Account, events ...odcm.Event) (err error) {
	defer odcm.Wrap(&err, "save accounts")
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for batch := range slices.Chunk(rows, 100) {
			err := upsert(ctx, tx, "access_account", "instance_id, account", []string{"instance_id", "account", "username", "person_id", "decision", "origin",
				"managed", "active", "applied", "previous", "changed"}, batch, func(a roster.Account) []any {
				return []any{a.Instance, a.ID, a.Username, a.Person, a.Decision, a.Origin, bit(a.Managed), bit(a.Active), a.Applied, string(a.Previous), db.Millis(a.Changed)}
			})
			if err != nil {
				return err
			}
		}
		return s.append(ctx, tx, events)
	})
}

// DropAccounts implements [roster.Store].
func (s *Pushes) DropAccounts(ctx context.Context, id odcm.InstanceID, accounts []string) (err error) {
	defer odcm.Wrap(&err, "drop accounts of %s", id)
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for batch := range slices.Chunk(accounts, 500) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM access_account WHERE instance_id = $1 AND account IN "+db.In(2, len(batch)),
				append([]any{id}, db.Args(batch)...)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// TeamStates implements [roster.Store].
func (s *Pushes) TeamStates(ctx context.Context, id odcm.SpaceID) (_ []roster.TeamState, err error) {
	defer odcm.Wrap(&err, "list teams written in %s", id)
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (t roster.TeamState, err error) {
		var members, groups, kept, previous, drift string
		var drifted, repaired int64
		t.Space = id
		if err := row.Scan(&t.Team, &t.Name, &t.Mapped, &members, &groups, &kept, &previous, &drift, &drifted, &repaired, &t.Repairs, &t.Failure); err != nil {
			return t, err
		}
		t.Drifted, t.Repaired = db.Time(drifted), db.Time(repaired)
		return t, errors.Join(decode(members, &t.Members), decode(groups, &t.Groups), decode(kept, &t.Kept), decode(previous, &t.Previous), decode(drift, &t.Drift))
	}, `SELECT team, name, mapped, members, groups, kept, previous, drift, drifted, repaired, repairs, failure FROM access_push_team WHERE space_id = $1 ORDER BY team`, id)
}

// SaveTeamState implements [roster.Store].
func (s *Pushes) SaveTeamState(ctx context.Context, t roster.TeamState) (err error) {
	defer odcm.Wrap(&err, "save what was written to team %s", t.Team)
	lists := make([]string, 5)
	for i, v := range []any{t.Members, t.Groups, t.Kept, t.Previous, t.Drift} {
		if lists[i], err = encode(v); err != nil {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_push_team (space_id, team, name, mapped, members, groups, kept, previous, drift, drifted, repaired, repairs, failure)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13) ON CONFLICT (space_id, team) DO UPDATE SET name = excluded.name, mapped = excluded.mapped,
			members = excluded.members, groups = excluded.groups, kept = excluded.kept, previous = excluded.previous, drift = excluded.drift,
			drifted = excluded.drifted, repaired = excluded.repaired, repairs = excluded.repairs, failure = excluded.failure`,
			t.Space, t.Team, t.Name, bit(t.Mapped), lists[0], lists[1], lists[2], lists[3], lists[4], db.Millis(t.Drifted), db.Millis(t.Repaired), t.Repairs, t.Failure)
		return err
	})
}

const arrivalColumns = "space_id, person_id, enter, wish, state, reason, since, applied, revision"

func (s *Pushes) arrivals(ctx context.Context, where string, args ...any) ([]roster.Acknowledgement, error) {
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (a roster.Acknowledgement, err error) {
		var since, applied int64
		err = row.Scan(&a.Space, &a.Person, &a.Enter, &a.Wish, &a.State, &a.Reason, &since, &applied, &a.Revision)
		a.Since, a.Applied = db.Time(since), db.Time(applied)
		return a, err
	}, "SELECT "+arrivalColumns+" FROM access_arrival WHERE "+where+" ORDER BY space_id, person_id", args...)
}

// Acknowledgements implements [roster.Store].
func (s *Pushes) Acknowledgements(ctx context.Context, id odcm.SpaceID, people []odcm.UserID) (all []roster.Acknowledgement, err error) {
	defer odcm.Wrap(&err, "list what arrived in %s", id)
	if people == nil {
		return s.arrivals(ctx, "space_id = $1", id)
	}
	for batch := range slices.Chunk(people, 500) {
		some, err := s.arrivals(ctx, "space_id = $1 AND person_id IN "+db.In(2, len(batch)), append([]any{id}, db.Args(batch)...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// Unarrived implements [roster.Store].
func (s *Pushes) Unarrived(ctx context.Context, id odcm.SpaceID) (_ []roster.Acknowledgement, err error) {
	defer odcm.Wrap(&err, "list what did not arrive in %s", id)
	return s.arrivals(ctx, "space_id = $1 AND state <> 'applied'", id)
}

// Troubles implements [roster.Store].
func (s *Pushes) Troubles(ctx context.Context, since, now time.Time) (_ []roster.Trouble, err error) {
	defer odcm.Wrap(&err, "list where pushing fails")
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (t roster.Trouble, err error) {
		var failing, revoke int64
		err = row.Scan(&t.Space, &failing, &revoke)
		t.Failing, t.Revoke = db.Time(failing), duration(revoke)
		return t, err
	}, `SELECT space_id, MAX(failing), MAX(revoke) FROM (
		SELECT space_id, CASE WHEN applied > looked THEN applied ELSE looked END AS failing, 0 AS revoke FROM access_push WHERE failure <> ''
		UNION ALL
		SELECT space_id, 0, $2 - since FROM access_arrival WHERE enter = 0 AND state <> 'applied'
		UNION ALL
		SELECT space_id, 0, applied - since FROM access_arrival WHERE enter = 0 AND state = 'applied' AND applied >= $1
	) AS t GROUP BY space_id ORDER BY space_id`, db.Millis(since), db.Millis(now))
}

// OfPerson implements [roster.Store].
func (s *Pushes) OfPerson(ctx context.Context, person odcm.UserID, spaces []odcm.SpaceID) (all []roster.Acknowledgement, err error) {
	defer odcm.Wrap(&err, "list where %s arrived", person)
	for batch := range slices.Chunk(spaces, 500) {
		some, err := s.arrivals(ctx, "person_id = $1 AND space_id IN "+db.In(2, len(batch)), append([]any{person}, db.Args(batch)...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// SaveAcknowledgements implements [roster.Store].
func (s *Pushes) SaveAcknowledgements(ctx context.Context, rows []roster.Acknowledgement) (err error) {
	defer odcm.Wrap(&err, "save what arrived")
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for batch := range slices.Chunk(rows, 100) {
			err := upsert(ctx, tx, "access_arrival", "space_id, person_id", strings.Split(arrivalColumns, ", "), batch, func(a roster.Acknowledgement) []any {
				return []any{a.Space, a.Person, bit(a.Enter), a.Wish, a.State, a.Reason, db.Millis(a.Since), db.Millis(a.Applied), a.Revision}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetSpace implements [roster.Store].
func (s *Pushes) ForgetSpace(ctx context.Context, id odcm.SpaceID) (err error) {
	defer odcm.Wrap(&err, "forget what was pushed to %s", id)
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"access_push", "access_push_team", "access_arrival"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE space_id = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetInstance implements [roster.Store].
func (s *Pushes) ForgetInstance(ctx context.Context, id odcm.InstanceID) (err error) {
	defer odcm.Wrap(&err, "forget accounts of %s", id)
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM access_account WHERE instance_id = $1", id)
		return err
	})
}

// upsert adds or replaces rows by one statement.
func upsert[T any](ctx context.Context, tx *sql.Tx, table, key string, columns []string, rows []T, values func(T) []any) error {
	var b strings.Builder
	b.WriteString("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES ")
	args := make([]any, 0, len(rows)*len(columns))
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(db.In(len(args)+1, len(columns)))
		args = append(args, values(row)...)
	}
	b.WriteString(" ON CONFLICT (" + key + ") DO UPDATE SET ")
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c + " = excluded." + c)
	}
	_, err := tx.ExecContext(ctx, b.String(), args...)
	return err
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
