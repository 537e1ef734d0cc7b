// Package live pushes server-rendered fragments to open pages, one event stream for each (HTML Standard, section 9.2).
//
// One goroutine listens to the bus; a few draw; each page has one that writes. A fragment is drawn once per change, however
// many pages show it, and they share its bytes. A slow page keeps at most one frame per topic waiting, and delays nobody.
//
// A page knows the position at which it was made: the epoch of the replica that made it and how many hints had come. A
// stream that begins there gets what changed since; one from elsewhere, or from too long ago, gets everything.
package live
