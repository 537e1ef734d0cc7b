// Package fleetagents is the fleet's door for agents: agentapi's two calls on a listener of their own, over mutual TLS.
//
// The listener is apart from the one for people, because a browser would be asked for a certificate. A client certificate
// is verified where there is one; Enrol is the only call that goes without.
package fleetagents
