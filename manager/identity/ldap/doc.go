// Package ldap signs people in by a directory, and reads it: Active Directory, or any other that speaks LDAP version 3
// (RFC 4511).
//
// A password is checked by a bind on a connection of its own, because a bind changes who the whole connection is. All else is
// asked over a few connections that are bound as the service account. Of several servers those that do not answer are passed
// over. Every text that people typed goes into a filter through [ldap.EscapeFilter] and into nothing else. Answers are
// bounded in entries and in bytes, and every question in time.
//
// Groups are flattened here: Active Directory walks nested groups itself by the rule LDAP_MATCHING_RULE_IN_CHAIN
// ([MS-ADTS] section 3.1.1.3.4.4.3); where it will not, and with other directories, they are walked step by step, to a
// bounded depth, cycles and all. Where a walk does not reach its end the groups are not known, which is not the same as none.
package ldap
