// Package egress is the guarded way out: HTTP to servers whose addresses people type in.
//
// Without a guard, whoever may enter an address could make ODCM ask its own network on their behalf (server-side request
// forgery): the cloud's metadata service, a neighbour's administration page. A [Guard] therefore checks every address at
// the moment that it is dialled, after the name was resolved, so that a name cannot mean one thing when checked and
// another when used. It follows no redirect to another origin, which would take the API key there. It verifies TLS
// against the system's authorities, against a given one, or against one pinned certificate by its thumbprint. It bounds
// what it reads. Environment proxies are not used: behind one, the address that is dialled says nothing.
//
// Connections are shared: all servers with the same TLS settings use one transport, which is what makes it cheap to look
// at thousands of servers every few seconds. Who holds connections of its own dials with [Guard.Dial], by the same rules.
//
// Failures come as [odcm.Error] with the codes egress.denied, egress.redirect, egress.too-large (kind Invalid),
// egress.dns, egress.refused, egress.tls, egress.timeout and egress.failed (kind Unavailable); each says what to do.
package egress
