// Package partyhttp is the door for those who look after relying parties and signing keys, and for everyone to see where they
// are signed in: pages below /relying-parties and /settings/applications, and the operations of the same nouns.
package partyhttp
