package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"odcm"
)

// Status is an answer that says no.
type Status struct {
	Code  int
	Name  string        // the service's word for it
	after time.Duration // Retry-After
}

func (s *Status) Error() string { return fmt.Sprintf("HTTP %d %s", s.Code, s.Name) }

// refusal reads which error it is: {"error": "code"} of OAuth, {"error": {"code": …}} of Graph and Google.
func refusal(res *http.Response, body []byte) *Status {
	s := &Status{Code: res.StatusCode}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		s.after = time.Duration(min(n, 3600)) * time.Second
	}
	var flat struct{ Error string }
	var nested struct {
		Error struct{ Code, Status any }
	}
	if json.Unmarshal(body, &flat) == nil {
		s.Name = Clean(flat.Error, 60)
	} else if json.Unmarshal(body, &nested) == nil {
		for _, v := range []any{nested.Error.Status, nested.Error.Code} {
			if text, ok := v.(string); ok && s.Name == "" {
				s.Name = Clean(text, 60)
			}
		}
	}
	return s
}

// Unreachable says in one way that the provider does not answer, however that shows.
func Unreachable(err error) error {
	var e *odcm.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return odcm.E(odcm.Unavailable, "egress.timeout", "The provider does not answer in time.").Because(err)
	case errors.As(err, &e):
		return err
	}
	return odcm.E(odcm.Unavailable, "provider.unreachable", "The provider does not answer.").Because(err)
}

// Unavailable turns whatever went wrong on a call into an error for people.
func Unavailable(what string, err error) error {
	var e *odcm.Error
	if errors.As(err, &e) {
		return err
	}
	return odcm.E(odcm.Unavailable, "provider.unreachable", "%s could not be read: %s.", what, Clean(err.Error(), 200)).Because(err)
}

// NotExchanged tells why there are no tokens. The answer's body stays out of the log: it may hold some.
func NotExchanged(ctx context.Context, err error) error {
	var e *oauth2.RetrieveError
	if ctx.Err() != nil { // x/oauth2 keeps only the words of what went wrong while it read
		return Unreachable(ctx.Err())
	}
	if odcm.KindOf(err) != odcm.Internal {
		return Unreachable(err)
	}
	if !errors.As(err, &e) {
		return Refused("sign-in.answer-malformed", "the provider's answer to the code cannot be read").Because(errors.New(Clean(err.Error(), 200)))
	}
	cause := &Status{Name: Clean(e.ErrorCode, 60)}
	if e.Response != nil {
		cause = refusal(e.Response, e.Body)
	}
	switch {
	case cause.Name == "invalid_grant":
		return odcm.E(odcm.Unauthenticated, "sign-in.code", "This sign-in took too long, or was finished already.").Because(cause)
	case cause.Name == "invalid_client" || cause.Name == "unauthorized_client":
		return odcm.E(odcm.Unavailable, "provider.client-refused", "The provider does not accept ODCM's client ID and secret. An administrator can test the provider's settings.").Because(cause)
	case cause.Code >= 500 || cause.Code == 429:
		return odcm.E(odcm.Unavailable, "provider.unreachable", "The provider has a problem of its own.").Because(cause)
	}
	return odcm.E(odcm.Unavailable, "provider.refused-request", "The provider does not accept ODCM's request. An administrator can test the provider's settings.").Because(cause)
}

// CodeTooManyGroups is the code of [TooManyGroups].
const CodeTooManyGroups = "sign-in.too-many-groups"

// TooManyGroups refuses somebody who is in more groups than [MaxGroups]: leaving some out would take rights away, or restrictions.
func TooManyGroups() error {
	return odcm.E(odcm.Denied, CodeTooManyGroups,
		"The provider says that you are in more than %d groups, which is more than ODCM takes. Ask whoever runs the provider to send only those that matter for ODCM.", MaxGroups)
}

// Refused says that what a provider sent is not believed. What is for the page; the page's own words say what to do.
func Refused(code, what string) *odcm.Error {
	return odcm.E(odcm.Unauthenticated, code, "The sign-in was refused: %s.", what)
}
