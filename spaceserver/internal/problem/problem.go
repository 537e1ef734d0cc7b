// Package problem is a failure in Octopus's own shape: {ErrorMessage, Errors, ParsedHelpLinks, HelpText, ...} with an
// HTTP status (api_error.go in go-octopusdeploy, octopusError.ts in message-contracts).
//
// Clients read more into it than the shape says: the official Go client takes any 404 with an Errors array for a general
// failure and gives up its look-up by name, so a 404 here has ErrorMessage only.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// HelpText tells people which server refused them.
const HelpText = "This answer comes from ODCM's Space server, which speaks the Octopus REST API."

// Error is a failure that may be shown to whoever asked; Cause goes to the log only.
type Error struct {
	Status  int
	Message string
	Errors  []string
	Details map[string]string
	Cause   error
}

func (e *Error) Error() string {
	s := e.Message
	if len(e.Errors) > 0 {
		s += " " + strings.Join(e.Errors, " ")
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Because attaches the cause.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// Refusal tells the store that a rule made this error and no fault of the database: others in the same commit go on.
func (e *Error) Refusal() bool { return true }

// MarshalJSON writes the shape of Octopus. Errors is left out where there is none: see the package.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ErrorMessage    string
		Errors          []string `json:",omitempty"`
		ParsedHelpLinks []string `json:",omitempty"`
		HelpText        string
		Details         map[string]string `json:",omitempty"`
	}{e.Message, e.Errors, nil, HelpText, e.Details})
}

// New makes an error with the status.
func New(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// Invalid is 400: the request breaks rules, each told in a sentence.
func Invalid(errors ...string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: "There was a problem with your request.", Errors: errors}
}

// NotFound is 404: there is no such resource, or none that the caller may see.
func NotFound(what, id string) *Error {
	return New(http.StatusNotFound, "The resource '%s' was not found.", id).detail("Resource", what)
}

func (e *Error) detail(name, value string) *Error {
	e.Details = map[string]string{name: value}
	return e
}

// Conflict is 409: somebody else changed it since it was read.
func Conflict(what string) *Error {
	return New(http.StatusConflict, "The %s was modified by someone else since you read it. Please read it again, make your change and save it.", what)
}

// Unauthenticated is 401.
func Unauthenticated() *Error {
	return New(http.StatusUnauthorized, "You must be logged in to request this resource. Please log in or provide a valid API key.")
}

// Denied is 403; permission is the one that is missing, "" to name none.
func Denied(permission string) *Error {
	e := New(http.StatusForbidden, "You do not have permission to perform this action. Please contact your Octopus administrator.")
	if permission != "" {
		e.Message += " Missing permission: " + permission
	}
	return e
}

// Unsupported is 501: a route of Octopus that this server knows and does not serve.
func Unsupported(format string, args ...any) *Error {
	return New(http.StatusNotImplemented, format, args...)
}

// IsRefusal tells whether a rule made the error: the request was refused, and nothing is wrong with the server.
func IsRefusal(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Reason is what the refusals in an error say, without what caused them: for people, in logs and events.
func Reason(err error) string {
	var e *Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, one := range joined.Unwrap() {
			if reason := Reason(one); reason != "" {
				all = append(all, reason)
			}
		}
		return strings.Join(all, " ")
	}
	if !errors.As(err, &e) {
		return ""
	}
	if len(e.Errors) > 0 {
		return strings.Join(e.Errors, " ")
	}
	return e.Message
}

// IsNotFound tells whether the error says that something is not there, or not for whoever asks.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
