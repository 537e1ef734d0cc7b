// Package role decides what a role may do in ODCM itself; what people may do inside a Space is Octopus's to say.
package role
