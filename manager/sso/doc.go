// Package sso keeps the relying parties of the OpenID Provider of every Space, and the words that its parts share.
//
// A relying party ([Party]) is a program that lets people in on ODCM's word: an Octopus server, another application, or a
// program on somebody's machine. The [Registry] knows what each is, where it may send people, and how it proves who it is.
//
// Its parts: grant lets people in there and gives out codes and tokens, device does so for programs without a browser, logout
// ends it, point points the sign-in settings of Octopus servers at all this. Package ssokey has the keys.
package sso
