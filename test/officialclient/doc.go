// Package officialclient lets the official Go client work with the Space server, as a witness from outside. It is a module
// of its own: the product does not depend on the client. The tests of spaceserver build and run what is here, and the
// client's own end-to-end tests; testdata/e2e.txt tells which of those pass, and why each other does not.
package officialclient
