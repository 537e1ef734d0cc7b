package api

// Page is one page of a list. Next is the cursor of the following page, "" on the last one.
type Page[T any] struct {
	Items []T    `json:"items" doc:"The things on this page, in the list's order"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one"`
}

// Problem is the body of every error answer (RFC 9457, application/problem+json).
type Problem struct {
	Type   string         `json:"type,omitempty"`
	Title  string         `json:"title,omitempty" doc:"What the status means"`
	Status int            `json:"status" doc:"HTTP status"`
	Detail string         `json:"detail,omitempty" doc:"What was wrong and what to do"`
	Code   string         `json:"code" doc:"Stable code of the error" example:"space.name-taken"`
	Kind   string         `json:"kind" doc:"Kind of the error" example:"exists"`
	Errors []ProblemField `json:"errors,omitempty" doc:"Which fields of the input are wrong"`
	// Instance is the identifier of the request, as the log has it.
	Instance string `json:"instance,omitempty" doc:"Identifier of the request, to be found in the log"`
}

// ProblemField tells what is wrong with one field of the input.
type ProblemField struct {
	Location string `json:"location" doc:"Path of the field" example:"body.apiKey"`
	Message  string `json:"message" doc:"What is wrong with it"`
}
