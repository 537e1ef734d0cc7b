// Package letter writes to people: invitations, the proof of an address, a way to a new password. Each holds a link with 256
// random bits that works once and for a while; only the SHA-256 of it is kept. Letter and mail are stored in one
// transaction, so that a crash loses neither. Where no mail server is set up, an administrator is shown the link to hand over.
//
// Links begin with the public URL that ODCM was started with, never with what a request says about itself: whoever sends a
// forged Host header must not get a mail sent that leads to him.
package letter
