package transfer

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/transfer/bundle"
)

// Bundle is what an export holds, for tests.
type Bundle = bundle.Bundle

// Gather, Zip, Unzip and Place are what the tasks do.
func (t *Transfers) Gather(ctx context.Context, space string, projects ...string) (*Bundle, []string, error) {
	var warned []string
	b, err := t.gather(ctx, space, projects, func(sentence string) { warned = append(warned, sentence) })
	return b, warned, err
}

func (t *Transfers) Zip(b *Bundle, password string) ([]byte, error) {
	var w bytes.Buffer
	err := b.Write(&w, password, &t.keys)
	return w.Bytes(), err
}

func (t *Transfers) Unzip(file []byte, password string) (*Bundle, error) {
	b, err := bundle.Read(bytes.NewReader(file), int64(len(file)), password, &t.keys)
	if err == nil {
		err = b.Check(carried())
	}
	return b, err
}

func Place(b *Bundle, c *collection.Change) error {
	_, err := place(b, c)
	return err
}

func KindsOf(b *Bundle) []string {
	var kinds []string
	for _, i := range b.Items {
		if !slices.Contains(kinds, i.Kind) {
			kinds = append(kinds, i.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// Canonical is the text of a bundle with names instead of ids, one document per line.
func Canonical(b *Bundle) (string, error) {
	names := map[string]string{}
	var name func(i *bundle.Item) string
	name = func(i *bundle.Item) string {
		for _, o := range b.Items {
			if o.ID == i.Owner() {
				return name(o) + "/" + i.Kind + "/" + i.Name()
			}
		}
		return i.Kind + "/" + i.Name()
	}
	for _, i := range b.Items {
		names[i.ID] = name(i)
		if i.Kind == "ActionTemplateVersions" {
			names[i.ID] += "/" + i.Body.Text("Version")
		}
	}
	canon := func(text string) string {
		if n, ok := names[text]; ok {
			return n
		}
		return text
	}
	var lines []string
	for _, i := range b.Items {
		body, err := bundle.Rewrite(i.Body, canon)
		if err != nil {
			return "", err
		}
		text, err := ordered(body).MarshalJSON()
		if err != nil {
			return "", err
		}
		var secrets []string
		for path, plain := range i.Secrets {
			secrets = append(secrets, path+"="+plain)
		}
		slices.Sort(secrets)
		lines = append(lines, canon(i.ID)+" "+string(text)+" "+strings.Join(secrets, ","))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

// ordered sorts the members of the maps whose keys are ids.
func ordered(o octopus.Object) octopus.Object {
	var sorted octopus.Object
	var names []string
	for name := range o.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, _ := o.Get(name)
		sorted.Set(name, value)
		if name == "ProjectEnvironments" {
			sorted.Set(name, ordered(o.Object(name)))
		}
	}
	return sorted
}
