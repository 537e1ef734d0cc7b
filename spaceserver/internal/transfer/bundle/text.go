package bundle

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"odcm/octopus"
)

// rewrite changes the texts of a JSON value, keys of objects too where they are ids.
func rewrite(raw json.RawMessage, change func(string) string) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return raw, nil
	}
	switch raw[0] {
	case '{':
		o, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		if o, err = Rewrite(o, change); err != nil {
			return nil, err
		}
		return o.MarshalJSON()
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		for i := range list {
			var err error
			if list[i], err = rewrite(list[i], change); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		if next := changeText(text, change); next != text {
			return json.Marshal(next)
		}
	}
	return raw, nil
}

// Rewrite changes the texts of an object and its members' names, each on its own and each of a list with commas: properties
// of steps hold ids of teams and roles that way.
func Rewrite(o octopus.Object, change func(string) string) (octopus.Object, error) {
	var made octopus.Object
	for name, value := range o.All() {
		next, err := rewrite(value, change)
		if err != nil {
			return made, err
		}
		made.Set(change(name), next)
	}
	return made, nil
}

// changeText changes a text, or each of a list with commas: properties of steps hold ids of teams and roles that way.
func changeText(text string, change func(string) string) string {
	if next := change(text); next != text || !strings.Contains(text, ",") || len(text) > 10_000 {
		return next
	}
	parts, changed := strings.Split(text, ","), false
	for i, part := range parts {
		id := strings.TrimSpace(part)
		if next := change(id); next != id {
			parts[i], changed = strings.Replace(part, id, next, 1), true
		}
	}
	if !changed {
		return text
	}
	return strings.Join(parts, ",")
}

// Texts calls f for every text of an object, and for each part of a list with commas.
func Texts(o octopus.Object, f func(string)) error {
	_, err := Rewrite(o, func(text string) string { f(text); return text })
	return err
}

// reveal puts secrets back into their places, in the two shapes that Octopus has: a sensitive value, and the Value of a
// variable. Paths name elements of arrays by their ids, where they have some, as the server does when it seals them.
func reveal(raw json.RawMessage, path string, secrets map[string]string) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(secrets) == 0 {
		return raw, nil
	}
	switch raw[0] {
	case '{':
		o, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		if plain, ok := secrets[path]; ok {
			o.Set("HasValue", true)
			o.Set("NewValue", plain)
			return o.MarshalJSON()
		}
		if err := revealIn(&o, path, secrets); err != nil {
			return nil, err
		}
		return o.MarshalJSON()
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		for i, e := range list {
			key := strconv.Itoa(i)
			if o, err := octopus.ParseObject(e); err == nil && o.Text("Id") != "" {
				key = o.Text("Id")
			}
			var err error
			if list[i], err = reveal(e, path+"/"+key, secrets); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	}
	return raw, nil
}

// Reveal puts secrets, by their paths, back into their places in an object.
func Reveal(o *octopus.Object, secrets map[string]string) error { return revealIn(o, "", secrets) }

func revealIn(o *octopus.Object, path string, secrets map[string]string) error {
	for name, value := range o.Clone().All() {
		at := path + "/" + name
		if plain, ok := secrets[at]; ok && string(value) == "null" {
			o.Set(name, plain)
			continue
		}
		next, err := reveal(value, at, secrets)
		if err != nil {
			return err
		}
		o.Set(name, next)
	}
	return nil
}
