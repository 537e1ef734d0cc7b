package odcm

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an [Error] is. The set is closed: edges map it to an HTTP status or an exit code.
type Kind string

// The closed set of kinds.
const (
	NotFound        Kind = "not-found"       // no such thing, or none that the principal may see
	Exists          Kind = "exists"          // the name or identity is taken
	Invalid         Kind = "invalid"         // the input breaks a rule; the message says which and what to do
	Denied          Kind = "denied"          // the principal is known and may not do this
	Unauthenticated Kind = "unauthenticated" // the principal is not known
	Conflict        Kind = "conflict"        // changed by someone else since it was read
	Unavailable     Kind = "unavailable"     // a part that is needed does not answer; trying again may help
	Unsupported     Kind = "unsupported"     // this version or part cannot do it
	Internal        Kind = "internal"        // a defect; the message is not shown
)

// Error is a failure with a public message apart from its cause. Message and Fields may be shown to anyone who asked;
// the cause goes to the log only. Code is stable and specific, in the form "space.name-taken"; it defaults to the kind.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  []FieldError
	Cause   error
}

// FieldError tells which field of the input is wrong, by its path in the request body ("apiKey", "spaces[0]").
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// E makes an error of the kind with a stable code and a public message, formatted as by [fmt.Sprintf].
func E(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because attaches the cause, which is logged and never shown.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// OnField names the field of the input that the error is about.
func (e *Error) OnField(field string) *Error {
	e.Fields = append(e.Fields, FieldError{Field: field, Message: e.Message})
	return e
}

func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = string(e.Kind)
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, odcm.E(odcm.NotFound, "", "")) match by kind, and by code where the target has one.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Code == "" || t.Code == e.Code)
}

// KindOf returns the kind of the first [Error] in the chain of err, [Internal] where there is none, "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the stable code of the first [Error] in the chain, or its kind where it has no code of its own.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	return string(KindOf(err))
}

// Wrap adds the name of the operation to the error that *err holds, for the log; kind, code and message stay. Use it
// as: defer odcm.Wrap(&err, "enlist %s", id).
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, *err)...)
	}
}
