// Package kerberos accepts the tickets with which browsers of a Windows domain sign in without a password: SPNEGO over HTTP
// (RFC 4559, RFC 4178) with Kerberos version 5 (RFC 4120). It alone knows the library that does it.
//
// An [Acceptor] needs a keytab and nothing from the network. It takes AES keys only: RC4 is refused, as Windows itself comes to
// do. NTLM, which browsers fall back to where they have no ticket, is refused with a code of its own, so that the form can be
// shown instead.
package kerberos
