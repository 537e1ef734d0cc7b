// Package ssohttp is the door of the OpenID Provider: its endpoints below /oauth2, its metadata, and the pages that people
// see on the way, for consent, for signing out and for letting a device in.
package ssohttp
