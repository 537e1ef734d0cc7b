// Package directory runs a real Active Directory domain for tests: a Samba domain controller on a loopback address of its own,
// with people in every state, groups nested three deep, and a service account that has a keytab.
//
// It needs root, for the ports, and these packages of Debian: samba samba-ad-dc samba-ad-provision samba-dsdb-modules
// samba-vfs-modules winbind python3-samba krb5-user curl. Where they are missing tests are skipped, or fail where CI is set.
//
// A domain is provisioned once per machine and address, which takes half a minute, and kept in the user's cache folder; after
// that it starts in seconds. Tests that run at the same time have a domain each.
package directory
