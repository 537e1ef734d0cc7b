// Package identityhttp is the door of identity for browsers and programs: the pages /sign-in, /sign-out and /settings, those
// that the links in letters open (/invitation, /verification, /reset), the REST operations on the caller himself, and the
// [Authenticator] that the whole site asks who sent a request.
//
// Forms need no token against forgery: the site refuses unsafe requests that a browser says come from elsewhere
// (net/http.CrossOriginProtection), and the cookie is SameSite=Lax. Browsers do not keep cookies of two ports of a host
// apart: a Space that must not see ODCM's cookie needs a host name of its own.
package identityhttp
