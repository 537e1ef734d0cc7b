// Package scim lets a directory push its people and groups: a server of SCIM 2.0 (RFC 7643, RFC 7644), in the dialects that
// Entra ID and Okta speak.
//
// A [Directory] is one who pushes. Its tokens act for one provider: people whom it pushes are linked identities of that
// provider, groups are its external groups, so that who signs in there is who was pushed. What was pushed is kept as it was
// sent, since clients read back and compare; from it, what the rest of ODCM knows of a person or a group is put right before
// anything is kept: a change that could not be carried out is not answered as done, and the client repeats it.
package scim
