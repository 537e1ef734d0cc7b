// Package mail sends e-mail over SMTP: to one person at a time, as text and HTML, and not lost where the server is down or
// ODCM is killed meanwhile.
//
// [Parse] reads where to send from one URL. A [Sender] sends at once. An [Outbox] keeps messages in the database, sealed, in
// the transaction of the change that they tell about, and sends them in the background until the server takes them.
// [Letter] makes the two forms of a message from its parts.
//
// The server's address comes from whoever starts ODCM, not from a page: it is not guarded as addresses are that people type
// in (package egress).
package mail
