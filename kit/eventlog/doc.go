// Package eventlog is the log of [odcm.Event]: what happened, in one order, kept with the rows that changed.
//
// A change and its events commit in one transaction, so there is neither without the other. Audit reads the log with
// [Log.List], machines with [Log.Follow], which gives every committed event exactly once and never skips one.
//
// # One order
//
// On PostgreSQL numbers from a sequence become visible out of order: a follower that has seen 8 would never see 7, whose
// transaction commits later. Here the number is counted in a row (event_last) in the transaction itself. The row's lock is
// held from [Log.Append] to the end of the transaction, so events commit in the order of their identifiers, a rollback
// gives its numbers back, and identifiers have no holes; a follower that finds one knows that [Log.Prune] was faster. SQLite
// has one writer at a time anyway, and the same SQL serves both.
//
// The price is that transactions with events commit one after another. Measured on two cores with PostgreSQL 15 and fsync,
// a row and its event per transaction, 8 writers: 1,600 a second, where the row alone makes 8,000. The other way, a
// transaction number in each row and followers that read only below the oldest running transaction
// (pg_snapshot_xmin), makes 3,600 with its hint; but one long transaction anywhere on the server stops every follower, and
// identifiers would not be positions. What people do to a house is far below either.
//
// The lock also means: append last. A transaction that appends and then waits for a row that another appending transaction
// has changed is a deadlock, which PostgreSQL ends after a second and [db.DB.Tx] runs again.
package eventlog
