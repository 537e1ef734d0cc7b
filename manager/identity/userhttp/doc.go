// Package userhttp is the door for those who administer people: the pages below /people and the REST operations on users,
// invitations and merges. What a person does with his own things is in package identityhttp.
package userhttp
