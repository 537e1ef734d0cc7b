// Package pool keeps connections to the servers of one directory, and says in words why there is none. Of several servers
// those that do not answer are passed over; what is read is bounded in bytes, and every question in time.
package pool
