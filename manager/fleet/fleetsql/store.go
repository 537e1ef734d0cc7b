// Package fleetsql keeps the fleet on SQLite and PostgreSQL.
package fleetsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/fleet"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log that commits with the rows (kit/eventlog).
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store is both [fleet.Store] and [fleet.Enrolments].
type Store struct {
	d      *db.DB
	events Events
}

var (
	_ fleet.Store      = (*Store)(nil)
	_ fleet.Enrolments = (*Store)(nil)
)

// New brings the room's tables up to date.
func New(ctx context.Context, d *db.DB, events Events) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "fleet", steps); err != nil {
		return nil, err
	}
	return &Store{d: d, events: events}, nil
}

const selectServer = `SELECT id, name, key, agent_version, enrolled_at, seen_at, cpus, memory, memory_free, disk, disk_free,
	instances_memory, versions, boot, sequence, desired_revision, revision,
	(SELECT count(*) FROM fleet_instance WHERE server_id = fleet_server.id),
	(SELECT count(*) FROM fleet_instance WHERE server_id = fleet_server.id AND state = 'running')
	FROM fleet_server`

func scanServer(row db.Row) (s fleet.Server, err error) {
	var enrolled, seen int64
	var versions string
	err = row.Scan(&s.ID, &s.Name, &s.Key, &s.AgentVersion, &enrolled, &seen, &s.Capacity.CPUs, &s.Capacity.Memory, &s.Capacity.MemoryFree,
		&s.Capacity.Disk, &s.Capacity.DiskFree, &s.Capacity.InstancesMemory, &versions, &s.Boot, &s.Sequence, &s.DesiredRevision, &s.Revision,
		&s.Counts.Instances, &s.Counts.Running)
	if err != nil {
		return s, err
	}
	s.Enrolled, s.LastSeen = db.Time(enrolled), db.Time(seen)
	return s, json.Unmarshal([]byte(versions), &s.Versions)
}

const selectInstance = `SELECT i.id, i.server_id, i.name, i.version, i.desired, i.desired_port, i.keep_data, i.sealed_administrator, i.created_at,
	i.revision, i.state, i.pid, i.port, i.url, i.own_version, i.installation_id, i.restarts, i.reason, i.since, i.instance_memory, s.name, s.seen_at
	FROM fleet_instance i JOIN fleet_server s ON s.id = i.server_id`

func scanInstance(row db.Row) (i fleet.Instance, err error) {
	var created, since, seen int64
	o := &i.Observed
	err = row.Scan(&i.ID, &i.Server, &i.Name, &i.Version, &i.Desired, &i.Port, &i.KeepData, &i.SealedAdministrator, &created,
		&i.Revision, &o.State, &o.PID, &o.Port, &o.URL, &o.Version, &o.InstallationID, &o.Restarts, &o.Reason, &since, &o.Memory, &i.ServerName, &seen)
	i.Created, o.Since, i.SeenAt = db.Time(created), db.Time(since), db.Time(seen)
	return i, err
}

// Servers lists by id, those after the given one.
func (s *Store) Servers(ctx context.Context, after odcm.ServerID, limit int) ([]fleet.Server, error) {
	return db.Collect(ctx, s.d.Read(), scanServer, selectServer+` WHERE id > $1 ORDER BY id LIMIT $2`, string(after), limit)
}

// Server returns one.
func (s *Store) Server(ctx context.Context, id odcm.ServerID) (fleet.Server, error) {
	return server(ctx, s.d.Read(), id)
}

func server(ctx context.Context, q db.Querier, id odcm.ServerID) (fleet.Server, error) {
	found, err := scanServer(q.QueryRowContext(ctx, selectServer+` WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return found, odcm.E(odcm.NotFound, "fleet.server-unknown", "There is no such server.")
	}
	return found, err
}

// Instances lists those of a server by id.
func (s *Store) Instances(ctx context.Context, server odcm.ServerID) ([]fleet.Instance, error) {
	return instances(ctx, s.d.Read(), server)
}

func instances(ctx context.Context, q db.Querier, server odcm.ServerID) ([]fleet.Instance, error) {
	return db.Collect(ctx, q, scanInstance, selectInstance+` WHERE i.server_id = $1 ORDER BY i.id`, string(server))
}

// Instance returns one.
func (s *Store) Instance(ctx context.Context, id odcm.InstanceID) (fleet.Instance, error) {
	return instance(ctx, s.d.Read(), id)
}

func instance(ctx context.Context, q db.Querier, id odcm.InstanceID) (fleet.Instance, error) {
	found, err := scanInstance(q.QueryRowContext(ctx, selectInstance+` WHERE i.id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return found, odcm.E(odcm.NotFound, "fleet.instance-unknown", "There is no such instance.")
	}
	return found, err
}

// Placed tells of every instance on which server it is.
func (s *Store) Placed(ctx context.Context) (map[odcm.InstanceID]odcm.ServerID, error) {
	type pair struct {
		instance odcm.InstanceID
		server   odcm.ServerID
	}
	pairs, err := db.Collect(ctx, s.d.Read(), func(row db.Row) (p pair, err error) { return p, row.Scan(&p.instance, &p.server) },
		`SELECT id, server_id FROM fleet_instance`)
	on := make(map[odcm.InstanceID]odcm.ServerID, len(pairs))
	for _, p := range pairs {
		on[p.instance] = p.server
	}
	return on, err
}

// lock takes the server's row by a write that changes nothing, so that on PostgreSQL too the changes to one server and its
// instances take turns.
func lock(ctx context.Context, tx *sql.Tx, id odcm.ServerID) error { return add(ctx, tx, id, 0) }

// raise tells the server's agent that there is something new.
func raise(ctx context.Context, tx *sql.Tx, id odcm.ServerID) error { return add(ctx, tx, id, 1) }

func add(ctx context.Context, tx *sql.Tx, id odcm.ServerID, n int) error {
	result, err := tx.ExecContext(ctx, `UPDATE fleet_server SET desired_revision = desired_revision + $2 WHERE id = $1`, string(id), n)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return odcm.E(odcm.NotFound, "fleet.server-unknown", "There is no such server.")
	}
	return nil
}

// Launch adds the instance where its id is free.
func (s *Store) Launch(ctx context.Context, i fleet.Instance, e odcm.Event) (kept fleet.Instance, created bool, err error) {
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO fleet_instance (id, server_id, name, version, desired, desired_port, keep_data,
			sealed_administrator, created_at, revision, state, since) SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11
			FROM fleet_server WHERE id = $2 ON CONFLICT (id) DO NOTHING`,
			string(i.ID), string(i.Server), i.Name, i.Version, string(i.Desired), i.Port, i.KeepData, i.SealedAdministrator,
			db.Millis(i.Created), string(i.Observed.State), db.Millis(i.Observed.Since))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if created = n == 1; created {
			if err := raise(ctx, tx, i.Server); err != nil {
				return err
			}
		}
		if kept, err = instance(ctx, tx, i.ID); err != nil {
			if _, serverErr := server(ctx, tx, i.Server); serverErr != nil {
				return serverErr
			}
			return err
		}
		if created {
			return s.events.Append(ctx, tx, e)
		}
		return nil
	})
	return kept, created, err
}

// Desire changes what the instance should be.
func (s *Store) Desire(ctx context.Context, id odcm.InstanceID, f func(*fleet.Instance) (odcm.Event, bool)) (i fleet.Instance, err error) {
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		if i, err = instance(ctx, tx, id); err != nil {
			return err
		}
		if err := lock(ctx, tx, i.Server); err != nil {
			return err
		}
		if i, err = instance(ctx, tx, id); err != nil { // again: nobody else changes it from here on
			return err
		}
		e, changed := f(&i)
		if !changed {
			return nil
		}
		i.Revision++
		if _, err := tx.ExecContext(ctx, `UPDATE fleet_instance SET desired = $2, keep_data = $3, revision = $4 WHERE id = $1`,
			string(id), string(i.Desired), i.KeepData, i.Revision); err != nil {
			return err
		}
		if err := raise(ctx, tx, i.Server); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
	return i, err
}

// Report commits what apply makes of the server and its instances.
func (s *Store) Report(ctx context.Context, id odcm.ServerID, apply func(fleet.Server, []fleet.Instance) fleet.Changes) (c fleet.Changes, err error) {
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		if err := lock(ctx, tx, id); err != nil {
			return err
		}
		before, err := server(ctx, tx, id)
		if err != nil {
			return err
		}
		rows, err := instances(ctx, tx, id)
		if err != nil {
			return err
		}
		c = apply(before, rows)
		if err := saveServer(ctx, tx, c.Server, len(c.Removed)); err != nil {
			return err
		}
		for _, i := range c.Updated {
			if err := saveObserved(ctx, tx, i); err != nil {
				return err
			}
		}
		for _, gone := range c.Removed {
			if _, err := tx.ExecContext(ctx, `DELETE FROM fleet_instance WHERE id = $1`, string(gone)); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, c.Events...)
	})
	return c, err
}

func saveServer(ctx context.Context, tx *sql.Tx, s fleet.Server, raised int) error {
	if s.Versions == nil {
		s.Versions = []string{}
	}
	versions, err := json.Marshal(s.Versions)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE fleet_server SET agent_version = $2, seen_at = $3, cpus = $4, memory = $5, memory_free = $6, disk = $7,
		disk_free = $8, instances_memory = $9, versions = $10, boot = $11, sequence = $12, desired_revision = desired_revision + $13 WHERE id = $1`,
		string(s.ID), s.AgentVersion, db.Millis(s.LastSeen), s.Capacity.CPUs, s.Capacity.Memory, s.Capacity.MemoryFree, s.Capacity.Disk,
		s.Capacity.DiskFree, s.Capacity.InstancesMemory, string(versions), s.Boot, s.Sequence, raised)
	return err
}

func saveObserved(ctx context.Context, tx *sql.Tx, i fleet.Instance) error {
	o := i.Observed
	_, err := tx.ExecContext(ctx, `UPDATE fleet_instance SET state = $2, pid = $3, port = $4, url = $5, own_version = $6, installation_id = $7,
		restarts = $8, reason = $9, since = $10, instance_memory = $11 WHERE id = $1`,
		string(i.ID), string(o.State), o.PID, o.Port, o.URL, o.Version, o.InstallationID, o.Restarts, o.Reason, db.Millis(o.Since), o.Memory)
	return err
}
