// Package simulate plays thousands of Octopus servers in one process, for trying ODCM at size: each answers what monitoring and
// reports ask, and can be told at run time to be down, to hang, to answer nonsense, or to come and go at random.
//
// The servers share ports, a thousand each, and differ by the path that their address begins with: http://127.0.0.1:18900/s/0001
// is one server. A connection belongs to the server that it asked first. Everything listens on loopback only. An idle connection
// costs a goroutine and no buffers, so that 10,000 held ones fit into some dozens of megabytes.
package simulate
