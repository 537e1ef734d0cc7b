// Package ssokey keeps the keys of the OpenID Provider: those that sign ID tokens, and those that seal codes and tokens.
//
// Keys lie in the database, sealed, and are shared by all replicas. A key is made when it is first needed, or in the
// background by [Ring.Run]: never on the way to being ready, for an RSA key takes up to a quarter of a second. The next key of
// an algorithm is published for [Lead] before it signs, longer than any relying party may keep the key set ([MaxAge]), and a
// key that signs no more is published until everything that it signed has long expired.
package ssokey
