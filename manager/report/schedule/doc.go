// Package schedule sends reports by e-mail: daily, weekly or monthly, at a time of day of a zone.
//
// What a mail shows is what its owner may see when it is sent. A mail is sent once for each time that it is due, whichever
// replica dies when: that it was sent, the messages in the outbox and when it is due next are committed together. A time that
// passed while ODCM was down is made up for once.
package schedule
