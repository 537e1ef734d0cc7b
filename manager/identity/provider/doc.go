// Package provider keeps the ways to sign in beside the local password: directories, Kerberos, other companies' OpenID
// providers; several at once, more than one of a kind, added and tested while ODCM runs.
//
// A [Connector] knows one kind: which settings it has, and how to open them. What it opens is a [Source], which does what
// its kind can: [Passwords], [Redirects], [Tickets], [Directory]. One provider that does not answer never fails the others
// and never empties a group: what was known stays, and is shown as stale with its age.
package provider
