package octoclient

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"odcm"
	"odcm/octopus"
)

// failure says what an answer that is not a success means.
func (c *Client) failure(a answer) error {
	said, isOctopus := octopus.ParseError(a.body)
	if !isOctopus && len(a.body) > 0 && a.status < 500 && a.status != http.StatusTooManyRequests {
		return c.notOctopus(a)
	}
	e := c.byStatus(a.status, said)
	if said.FullException != "" {
		_ = e.Because(errors.New(clean(said.FullException, 4000)))
	}
	return e
}

func (c *Client) byStatus(status int, said octopus.Error) *odcm.Error {
	host, words := c.base.Host, sentence(said)
	switch {
	case isMaintenance(status, said):
		return odcm.E(odcm.Unavailable, "octopus.maintenance", "%s is in maintenance mode: only its administrators may change it until that ends.%s", host, words)
	case isOutdated(status, said):
		return odcm.E(odcm.Conflict, "octopus.conflict", "Someone else changed it on %s meanwhile. Look at it again, then repeat the change.%s", host, words)
	case status == http.StatusUnauthorized:
		return odcm.E(odcm.Unauthenticated, "octopus.unauthorized", "%s does not accept the API key. Make a new one under your profile there, and check that its user is active.", host)
	case status == http.StatusForbidden:
		if missing := missingPermission(said.ErrorMessage); missing != "" {
			return odcm.E(odcm.Denied, "octopus.forbidden", "The API key's user lacks the permission %s on %s. Give it to one of the user's teams.", missing, host)
		}
		return odcm.E(odcm.Denied, "octopus.forbidden", "The API key's user may not do this on %s.%s", host, words)
	case status == http.StatusNotFound:
		return odcm.E(odcm.NotFound, "octopus.not-found", "%s has no such thing, or hides it from the API key's user.%s", host, words)
	case status == http.StatusMethodNotAllowed:
		return odcm.E(odcm.Unsupported, "octopus.unsupported", "This version of Octopus at %s cannot do that.%s", host, words)
	case status == http.StatusConflict:
		return odcm.E(odcm.Conflict, "octopus.conflict", "%s refused because of a conflict.%s", host, words)
	case status == http.StatusTooManyRequests:
		return odcm.E(odcm.Unavailable, "octopus.limited", "%s limits how often it is asked, and is asked too often now. Try again later.", host)
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return odcm.E(odcm.Unavailable, "octopus.unavailable", "%s answered %d: it is starting, or down behind its proxy.%s", host, status, words)
	case status >= 500:
		return odcm.E(odcm.Unavailable, "octopus.failed", "%s failed with status %d; its log says why.%s", host, status, words)
	case status >= 400:
		return odcm.E(odcm.Invalid, "octopus.invalid", "%s refused it.%s", host, words)
	}
	return odcm.E(odcm.Invalid, "octopus.not-octopus", "%s answered with status %d, which Octopus does not. Is the URL that of the Octopus server?", host, status)
}

// notOctopus is for answers that no Octopus server gives.
func (c *Client) notOctopus(a answer) *odcm.Error {
	what := "something that is not JSON of Octopus"
	if strings.Contains(a.header.Get("Content-Type"), "html") {
		what = "a web page"
	}
	return odcm.E(odcm.Invalid, "octopus.not-octopus",
		"%s answered with %s (status %d). Is the URL that of the Octopus server, and is there a proxy or a sign-in page before it?", c.base.Host, what, a.status)
}

// unreachable says why there was no answer.
func (c *Client) unreachable(err error) error {
	var e *odcm.Error
	switch {
	case errors.As(err, &e):
		switch e.Code {
		case "egress.tls":
			return odcm.E(odcm.Unavailable, "octopus.tls", "%s", e.Message).Because(e.Cause)
		case "egress.too-large":
			return odcm.E(odcm.Invalid, "octopus.too-large", "%s", e.Message)
		case "egress.dns", "egress.refused", "egress.timeout", "egress.failed":
			return odcm.E(odcm.Unavailable, "octopus.unreachable", "%s", e.Message).Because(e.Cause)
		}
		return e
	case errors.Is(err, context.Canceled):
		return context.Canceled // without what net/http wraps it in, which shows the query
	case errors.Is(err, context.DeadlineExceeded):
		return odcm.E(odcm.Unavailable, "octopus.unreachable", "%s did not answer in time.", c.base.Host).Because(context.DeadlineExceeded)
	}
	return odcm.E(odcm.Unavailable, "octopus.unreachable", "The connection to %s failed.", c.base.Host).Because(err)
}

// isMaintenance: the server names the mode in the message; it has no status of its own.
func isMaintenance(status int, said octopus.Error) bool {
	return (status == http.StatusServiceUnavailable || status == http.StatusForbidden || status == http.StatusBadRequest) &&
		strings.Contains(strings.ToLower(said.ErrorMessage), "maintenance mode")
}

// isOutdated: a change of what someone else changed since it was read. The status is 409, 400 or 500 by version; the
// words are the same (OctopusDeploy/Issues 7936, 8464, 9559).
func isOutdated(status int, said octopus.Error) bool {
	outdated := func(s string) bool { return strings.Contains(s, "submitted data was out of date") }
	return status >= 400 && (outdated(said.ErrorMessage) || slices.ContainsFunc(said.Errors, outdated))
}

var permissionNamed = regexp.MustCompile(`[Mm]issing permissions?: ([A-Z][A-Za-z]+(?:, [A-Z][A-Za-z]+)*)`)

// missingPermission reads the name out of "... Missing permission: EnvironmentView" (OctopusDeploy/Issues 7181, 8726).
func missingPermission(message string) string {
	if m := permissionNamed.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}

// sentence is what the server says, cut to what fits on a page, with a space before it.
func sentence(said octopus.Error) string {
	parts := said.Errors
	if len(parts) == 0 && said.ErrorMessage != "" {
		parts = []string{said.ErrorMessage}
	}
	if len(parts) == 0 {
		return ""
	}
	return " It says: " + clean(strings.Join(parts, " "), 1000)
}

// clean makes foreign text fit for a message: one line, bounded.
func clean(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return s
}
