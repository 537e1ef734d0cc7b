package octopus

// Page is a part of a list, as every list route answers. A route that ends in /all answers a bare array instead.
type Page struct{ Object }

// Items returns the resources on the page.
func (p Page) Items() []Object { return p.Objects("Items") }

// Total counts the resources on all pages.
func (p Page) Total() int { return int(p.Int("TotalResults")) }

// ItemType is the sort of the items, such as "Environment".
func (p Page) ItemType() string { return p.Text("ItemType") }

// Next is the path of the next page, "" on the last one.
func (p Page) Next() string { return p.Link("Page.Next") }

// DefaultTake is how many items a page has where the request does not say.
const DefaultTake = 30

// Error is the body of an Octopus answer that is not a success.
type Error struct {
	ErrorMessage string `json:"ErrorMessage"`
	// Errors are what is wrong with the input, one sentence each. Servers leave it out of a 404: clients take a 404
	// with it for a failure, not for "there is none".
	Errors          []string `json:"Errors,omitempty"`
	ParsedHelpLinks []string `json:"ParsedHelpLinks,omitempty"`
	HelpText        string   `json:"HelpText,omitempty"`
	HelpLink        string   `json:"HelpLink,omitempty"`
	FullException   string   `json:"FullException,omitempty"` // a stack trace of the server; for a log, never for people
	Details         *Object  `json:"Details,omitempty"`
}

// ParseError reads the body of a failure. ok is false where it is not one of Octopus's: a proxy's page, for instance.
func ParseError(body []byte) (e Error, ok bool) {
	o, err := ParseObject(body)
	if err != nil || !o.Has("ErrorMessage") {
		return Error{}, false
	}
	e = Error{
		ErrorMessage:    o.Text("ErrorMessage"),
		Errors:          o.Texts("Errors"),
		ParsedHelpLinks: o.Texts("ParsedHelpLinks"),
		HelpText:        o.Text("HelpText"),
		HelpLink:        o.Text("HelpLink"),
		FullException:   o.Text("FullException"),
	}
	if o.Has("Details") {
		details := o.Object("Details")
		e.Details = &details
	}
	return e, true
}
