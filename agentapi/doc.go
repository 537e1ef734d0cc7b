// Package agentapi is the wire between the manager and its agents: two calls of Connect (HTTP and protobuf), of which
// agent.proto holds the messages.
//
// # Why a long poll
//
// An agent asks [agentapiconnect] Sync in two ways at once: one call without observed state waits for a newer desired
// state (the manager answers within milliseconds of a change, or after the wait, and is asked again), another reports
// observed state whenever it changes, and every ten seconds as a heartbeat, and never waits. So both directions react at
// once, with plain requests and answers: they pass proxies that buffer or that end long streams, they work over HTTP/1.1,
// any replica of the manager can answer any of them, and nothing but the known revision carries over from one to the next.
// A bidirectional stream would need HTTP/2 end to end, its own heartbeat, and a rule for what was in flight when it broke.
//
// # What makes it safe
//
// Desired state is whole and has a revision; observed state is whole and has a boot and a sequence. Whatever is lost, sent
// twice or overtaken is put right by the next call. Both sides keep to TLS 1.3: the agent shows a certificate of the
// manager's own authority, in which the common name is its server id; the manager shows one for [ManagerName], which the
// agent verifies against that authority alone. At enrolment the agent does not have the authority yet; the [Token] has
// its fingerprint.
//
// # Versions
//
// A message says [ProtocolVersion]. Within one protocol fields are only added, and what is absent means what it meant
// before the field was there; an enum value that is not known is treated as unspecified. A manager answers an agent of
// another protocol with CodeFailedPrecondition and the text which of the two is to be upgraded.
package agentapi

//go:generate sh generate.sh

// ProtocolVersion is raised when an older peer could misunderstand, not when something is added.
const ProtocolVersion = 1

// ManagerName is the only DNS name in the certificate of the listener for agents, whatever address it is reached by.
const ManagerName = "manager.odcm.internal"
