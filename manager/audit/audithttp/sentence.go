package audithttp

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"odcm"
	"odcm/kit/web/design"
)

// sentences say an event to people. {by} is who did it, {name} the thing, {after.x} the member x of what it is now. An
// event type that is not here is read from its own words: "fleet.instance-started" is "{by} started instance {name}".
func sentences() map[string]string {
	return map[string]string{
		"access.expired":             "Somebody's access to Space {name} has ended",
		"access.granted":             "{by} gave access to Space {name}",
		"access.mapped":              "{by} mapped a group to a team of Space {name}",
		"access.revoked":             "{by} took access to Space {name} away",
		"access.unmapped":            "{by} took a group from a team of Space {name}",
		"account.decided":            "{by} decided about the account {name}",
		"account.policy":             "{by} chose what is done about changes that are made in Space {name}",
		"alert-receiver.changed":     "{by} changed the alert receiver {name}",
		"alert-receiver.created":     "{by} made the alert receiver {name}",
		"alert-receiver.deleted":     "{by} deleted the alert receiver {name}",
		"alert-rule.changed":         "{by} changed the alert rule {name}",
		"alert-rule.created":         "{by} made the alert rule {name}",
		"alert-rule.deleted":         "{by} deleted the alert rule {name}",
		"alert-silence.changed":      "{by} ended the silence {name}",
		"alert-silence.created":      "{by} made the silence {name}",
		"alert-silence.deleted":      "{by} deleted the silence {name}",
		"alert-window.changed":       "{by} changed the maintenance window {name}",
		"alert-window.created":       "{by} made the maintenance window {name}",
		"alert-window.deleted":       "{by} deleted the maintenance window {name}",
		"alert.acknowledged":         "{by} took on {name}",
		"alert.fired":                "{name} began to fire",
		"alert.flapped":              "{name} comes and goes",
		"alert.resolved":             "{name} is over",
		"fleet.instance-desired":     "{by} ordered instance {name}",
		"fleet.instance-exited":      "Instance {name} ended by itself",
		"fleet.instance-removed":     "{by} removed instance {name}",
		"fleet.instance-started":     "{by} started instance {name}",
		"fleet.server-enrolled":      "Server {name} joined",
		"fleet.token-created":        "{by} made a token for a new server",
		"group.created":              "{by} made the group {name}",
		"group.deleted":              "{by} deleted the group {name}",
		"group.members-changed":      "{by} changed who is in the group {name}",
		"group.memberships-asserted": "{name} came into other groups, as a provider says",
		"group.memberships-moved":    "{name} took over the groups of somebody else",
		"group.remembered":           "Groups of a provider were met for the first time",
		"group.updated":              "{by} changed the group {name}",
		"identity.api-key-created":   "{by} made the API key {name}",
		"identity.api-key-revoked":   "{by} revoked an API key",
		"identity.email-added":       "{by} added an e-mail address to {name}",
		"identity.email-chosen":      "{by} chose the main e-mail address of {name}",
		"identity.email-removed":     "{by} removed an e-mail address from {name}",
		"identity.email-verified":    "An e-mail address of {name} was verified",
		"identity.letter-written":    "{by} wrote {name} a letter",
		"identity.linked":            "{name} was linked to an account of a provider",
		"identity.merge-dismissed":   "{by} said that {name} is not somebody else",
		"identity.password-changed":  "{by} changed their password",
		"identity.password-set":      "{by} set the password of {name}",
		"identity.picture-changed":   "{by} changed the picture of {name}",
		"identity.session-ended":     "{by} ended one of their sessions",
		"identity.sessions-ended":    "{by} ended sessions of {name}",
		"identity.sign-in-failed":    "A sign-in as {name} failed",
		"identity.signed-in":         "{by} signed in",
		"identity.signed-out":        "{by} signed out",
		"identity.unlinked":          "{by} unlinked {name} from an account of a provider",
		"identity.user-created":      "{by} made the user {name}",
		"identity.user-deleted":      "{by} deleted the user {name}",
		"identity.user-updated":      "{by} changed the user {name}",
		"identity.users-merged":      "{by} merged another user into {name}",
		"licence.installed":          "{by} installed the entitlement ({name})",
		"licence.removed":            "{by} removed the entitlement ({name})",
		"monitor.status-changed":     "Space {name} is now {after.status}",
		"party.access-revoked":       "{by} took back the access of an application",
		"party.consent-withdrawn":    "{by} no longer lets {name} know who they are",
		"party.consented":            "{by} let {name} know who they are",
		"party.created":              "{by} made the relying party {name}",
		"party.deleted":              "{by} deleted the relying party {name}",
		"party.device-allowed":       "{by} let a device in to {name}",
		"party.device-denied":        "{by} kept a device out of {name}",
		"party.entered":              "{by} signed in to {name}",
		"party.logout-undelivered":   "{name} could not be told that somebody signed out",
		"party.refused":              "{by} was not let in to {name}",
		"party.secret-made":          "{by} made a new secret for the relying party {name}",
		"party.signed-out":           "{name} was signed out everywhere",
		"party.updated":              "{by} changed the relying party {name}",
		"provider.changed":           "{by} changed the provider {name}",
		"provider.created":           "{by} made the provider {name}",
		"provider.deleted":           "{by} deleted the provider {name}",
		"provider.sync-asked":        "{by} had the provider {name} read",
		"provider.sync-failed":       "The provider {name} could not be read",
		"provider.sync-held":         "What the provider {name} says waits for somebody to accept it",
		"report.not-sent":            "The report {name} could not be sent",
		"report.schedule-changed":    "{by} changed the schedule of the report {name}",
		"report.schedule-deleted":    "{by} deleted the schedule of the report {name}",
		"report.schedule-paused":     "{by} paused the schedule of the report {name}",
		"report.schedule-resumed":    "{by} resumed the schedule of the report {name}",
		"report.scheduled":           "{by} scheduled the report {name}",
		"report.sent":                "The report {name} was sent",
		"scim.directory-created":     "{by} made the directory {name}",
		"scim.directory-deleted":     "{by} deleted the directory {name}",
		"scim.directory-updated":     "{by} changed the directory {name}",
		"scim.token-created":         "{by} made a token for the directory {name}",
		"scim.token-revoked":         "{by} revoked a token of the directory {name}",
		"signing-key.made":           "{by} made a signing key of the algorithm {name}",
		"space.created":              "{by} created Space {name}",
		"space.delisted":             "{by} delisted Space {name}",
		"space.described":            "{by} described Space {name}",
		"space.enlisted":             "{by} enlisted Space {name}",
		"space.rekeyed":              "{by} replaced the API key of Space {name}",
		"space.renamed":              "{by} renamed Space {name}",
		"sso.pointed":                "People sign in to {name} through ODCM",
		"sso.unpointed":              "People no longer sign in to {name} through ODCM",
		"task.canceled":              "{by} canceled the task {name}",
		"task.failed":                "The task {name} failed",
		"task.submitted":             "{by} began the task {name}",
		"task.succeeded":             "The task {name} succeeded",
	}
}

// part is a piece of a sentence: plain text, or the name of who or what, perhaps with a page of its own.
type part struct {
	Text, Href string
	Name       bool
}

// describer turns events into sentences.
type describer struct{ known map[string]string }

func newDescriber() describer { return describer{sentences()} }

func (d describer) sentence(e odcm.Event) []part {
	pattern, ok := d.known[e.Type]
	if !ok {
		pattern = derive(e.Type)
	}
	var parts []part
	for pattern != "" {
		text, rest, _ := strings.Cut(pattern, "{")
		if text != "" {
			parts = append(parts, part{Text: text})
		}
		var word string
		if word, pattern, ok = strings.Cut(rest, "}"); ok {
			parts = append(parts, fill(word, e))
		}
	}
	return parts
}

func fill(word string, e odcm.Event) part {
	switch word {
	case "by":
		if e.By == "" {
			return part{Text: "Someone"}
		}
		return part{Text: e.By, Name: true}
	case "name":
		name := e.Name
		if name == "" {
			name = e.Subject
		}
		return part{Text: name, Href: pageOf(e.Subject), Name: true}
	}
	return part{Text: member(e.After, strings.TrimPrefix(word, "after."))}
}

// derive reads a sentence from the type, a noun and a past tense.
func derive(typ string) string {
	noun, did, ok := strings.Cut(typ, ".")
	if !ok {
		return "{by}: " + typ + " {name}"
	}
	words := strings.Split(did, "-")
	last := len(words) - 1
	if last > 0 {
		noun = strings.Join(words[:last], " ")
	}
	if noun == "space" {
		noun = "Space"
	}
	return "{by} " + words[last] + " " + noun + " {name}"
}

// pageOf is where the thing of the identifier is shown, "" for none.
func pageOf(id string) string {
	for prefix, page := range map[string]string{"space-": "/spaces/", "task-": "/tasks/", "server-": "/servers/"} {
		if strings.HasPrefix(id, prefix) && !strings.ContainsAny(id, "/?#%\\") {
			return page + id
		}
	}
	return ""
}

func member(raw json.RawMessage, name string) string {
	var all map[string]any
	if json.Unmarshal(raw, &all) != nil {
		return "different"
	}
	if s, ok := all[name].(string); ok {
		return s
	}
	return "different"
}

// types are the choices of the filter, with the one chosen among them even if nobody knows it.
func (d describer) types(chosen string) []design.Option {
	options := []design.Option{{Value: "", Label: "Everything"}}
	all := slices.Sorted(maps.Keys(d.known))
	if _, ok := d.known[chosen]; !ok && chosen != "" {
		all = append(all, chosen)
	}
	for _, t := range all {
		noun, did, _ := strings.Cut(t, ".")
		options = append(options, design.Option{Value: t, Label: noun + ": " + strings.ReplaceAll(did, "-", " "), On: t == chosen})
	}
	return options
}
