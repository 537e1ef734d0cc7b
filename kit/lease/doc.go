// Package lease gives one owner at a time the right to a name, for a time that it must renew.
//
// A lease alone does not make two owners impossible: one may be suspended, wake up after its time and write. Therefore
// every lease has a fence, a number that grows whenever the name changes hands, and a write that must not come late is
// guarded: [Store.Check] in its transaction fails once the lease is another's. What goes elsewhere than to the database
// (an HTTP call) cannot be guarded so; for it, [Store.Hold] and [Shards] stop work a third of the lease's time before
// another can have it.
//
// The clock is the database's on PostgreSQL, the same for all replicas. SQLite belongs to one process; there the clock is
// that of the process, which never goes back or jumps while it runs. Holders measure with their own monotone clock from
// before the request was sent, so what they believe ends before what the database says.
//
// An owner is one campaigner of one process, not a machine: use a new name at each start.
package lease
