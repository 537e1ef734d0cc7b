// Package point points the sign-in settings of Octopus servers at ODCM's OpenID Provider, tests them by a sign-in, keeps them
// so, and puts them back.
package point
