// Package collect brings the facts of package report from the Spaces: in the background, incrementally, and within what each
// server's budget leaves over.
//
// It follows each Space's events by their number (fromAutoId) and reads the documents that they tell of in batches. Where it
// stands and what it found are committed together, so that a replica that dies between two pages counts nothing twice and
// misses nothing; the commit of one that was overtaken is refused.
//
// Events are not enough: a server deletes them after some months, gives numbers anew after a restore from a backup, and shows
// numbers late that it gave early. So the last event that was read is looked for again each time. Where it is gone, the
// list of deployments is read from now back to its time, and the report says what may be missing. Once a day the newest part
// of the list is compared in any case, and what was under way is asked for again until it has ended.
package collect
