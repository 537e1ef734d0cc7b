// Package fleet knows the machines and what runs on them. A [Server] is a machine with an agent; an [Instance] is an
// Octopus server process that should run on one.
//
// What should be is desired state: [Service.Launch] and [Service.Retire] write it and return. What is, is observed state:
// the agent asks for the desired state of its server ([Service.Desired]), brings it about, and reports ([Service.Report]).
// Nobody calls an agent. Whoever wants to know how it stands looks ([Service.Observe]) or waits ([Service.Wait]).
//
// An agent proves who it is by a certificate of the fleet's own authority, which it gets once for a one-time token
// ([Service.CreateToken], [Service.Enrol]) and has renewed before it ends ([Service.Renew]). A certificate is believed only
// while the server's row names its key, so that a machine can be shut out at once.
//
// The wire is package agentapi; fleetagents serves it.
package fleet
