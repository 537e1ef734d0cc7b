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
		"fleet.instance-desired":    "{by} ordered instance {name}",
		"fleet.instance-exited":     "Instance {name} ended by itself",
		"fleet.server-enrolled":     "Server {name} joined",
		"fleet.token-created":       "{by} made a token for a new server",
		"identity.api-key-created":  "{by} made the API key {name}",
		"identity.api-key-revoked":  "{by} revoked an API key",
		"identity.password-changed": "{by} changed their password",
		"identity.session-ended":    "{by} ended one of their sessions",
		"identity.sign-in-failed":   "A sign-in as {name} failed",
		"identity.signed-in":        "{by} signed in",
		"identity.signed-out":       "{by} signed out",
		"identity.user-created":     "{by} made the user {name}",
		"identity.user-updated":     "{by} changed the user {name}",
		"monitor.status-changed":    "Space {name} is now {after.status}",
		"space.created":             "{by} created Space {name}",
		"space.delisted":            "{by} delisted Space {name}",
		"space.enlisted":            "{by} enlisted Space {name}",
		"space.rekeyed":             "{by} replaced the API key of Space {name}",
		"space.renamed":             "{by} renamed Space {name}",
		"task.canceled":             "{by} canceled the task {name}",
		"task.failed":               "The task {name} failed",
		"task.submitted":            "{by} began the task {name}",
		"task.succeeded":            "The task {name} succeeded",
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
