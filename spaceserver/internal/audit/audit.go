// Package audit is what the audit trail's events are called and how they are shown: to those who read them and in the
// webhooks that tell of them.
package audit

import (
	"regexp"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
)

// ID is an event's id as clients see it.
func ID(n int64) string { return "Events-" + strconv.FormatInt(n, 10) }

// Number reads an id; false where it is none.
func Number(id string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "Events-"), 10, 64)
	return n, err == nil
}

// Show is an event as it is answered (EventResource).
func Show(e document.Event) octopus.Object {
	var o octopus.Object
	o.Set("Id", ID(e.AutoID))
	o.Set("RelatedDocumentIds", e.Related)
	o.Set("Category", e.Category)
	body, _ := octopus.ParseObject(withoutHeader(e)) // it was written by us
	for name, value := range body.All() {
		o.Set(name, value)
	}
	o.Set("MessageHtml", html(body.Text("Message")))
	o.Set("Details", "")
	o.Set("Occurred", e.Occurred.Format("2006-01-02T15:04:05.000+00:00"))
	o.Set("SpaceId", nil)
	if e.Space != "" {
		o.Set("SpaceId", e.Space)
	}
	o.Set("Links", map[string]string{"Self": "/api/events/" + ID(e.AutoID)})
	return o
}

// header finds what a subscription sends to prove itself. Octopus keeps it as plain text in the document, for those who may
// see subscriptions; events are seen by more.
var header = regexp.MustCompile(`("WebhookHeaderValue":)"(?:[^"\\]|\\.)*"`)

func withoutHeader(e document.Event) []byte {
	if e.Type != "Subscription" {
		return e.Body
	}
	return header.ReplaceAll(e.Body, []byte("${1}null"))
}

func html(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
}

// Target is what an event is about, from the ids that it names: restricted grants look at it.
func Target(e document.Event) permission.Target {
	t := permission.Target{Space: e.Space}
	for _, id := range e.Related {
		switch kind, _, _ := strings.Cut(id, "-"); kind {
		case "Projects":
			t.Project = id
		case "ProjectGroups":
			t.ProjectGroup = id
		case "Environments":
			t.Environments = append(t.Environments, id)
		case "Tenants":
			t.Tenants = append(t.Tenants, id)
		}
	}
	return t
}

// Visible asks a set about an event: every project, environment or tenant that it is about must be open.
func Visible(set *permission.Set, e document.Event) bool {
	return set.Unrestricted("EventView", e.Space) || set.Sees("EventView", Target(e))
}

func fold(a, b string) bool { return strings.EqualFold(a, b) }
