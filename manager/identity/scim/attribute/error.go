// Package attribute reads, asks and changes the attributes of SCIM's resources: filters (RFC 7644 section 3.4.2.2) and PATCH
// (section 3.5.2), with what Entra ID and Okta do otherwise than the RFC. It knows no server and no store; what it reads
// comes from outside and is bounded.
package attribute

// Error says what is wrong with a request, in the words of RFC 7644 table 9.
type Error struct {
	Type   string // scimType
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func invalid(typ, detail string) error { return &Error{typ, detail} }
