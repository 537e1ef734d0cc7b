package substitution

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/substitution/relaxed"
)

// A place is where a path leads: to a node of the tree that the names of variables make, or to a value that is no variable,
// such as a part of a JSON text or an item of a list.
type place struct {
	name    string // of a variable, or what names of variables begin with; "" for a value
	index   string // the last index, where the name ends with one: what stands for a node without text
	indexed bool
	value   string
	members map[string]string // of an item of a JSON object: key and value
	origin  []string          // the variables that a value was made of
}

// text is the raw text of a place.
func (p place) text(source Source) (string, bool) {
	if p.name == "" {
		return p.value, true
	}
	if text, ok := source.Lookup(p.name); ok {
		return text, true
	}
	return p.index, p.indexed
}

func (p place) use(used map[string]bool) {
	if p.name != "" {
		used[p.name] = true
	}
	for _, name := range p.origin {
		used[name] = true
	}
}

// find looks a path up in the frames, the innermost first, and then among the variables.
func (e *evaluator) find(p path) (place, *frame, bool, error) {
	if err := e.spend(0); err != nil {
		return place{}, nil, false, err
	}
	p, ok, err := e.indexes(p)
	if err != nil || !ok {
		return place{}, nil, false, err
	}
	for f := e.frame; f != nil; f = f.parent {
		if text, ok := f.turn[strings.ToLower(p.String())]; ok {
			return place{value: text}, f, true, nil
		}
		if p[0].indexed || !strings.EqualFold(p[0].name, f.item) {
			continue
		}
		if found, ok, err := e.walk(f.value, p[1:], f); ok || err != nil {
			return found, f, ok, err
		}
	}
	// The whole name at once: of all ways through the tree it is by far the most frequent.
	name := p.String()
	if _, ok := e.source.Lookup(name); ok {
		return place{name: name}, nil, true, nil
	}
	if root := (place{name: p[0].name}); e.exists(root.name) {
		found, ok, err := e.walk(root, p[1:], nil)
		return found, nil, ok, err
	}
	return place{}, nil, false, nil
}

// indexes replaces the indexes that are expressions themselves; false where one has no value.
func (e *evaluator) indexes(p path) (path, bool, error) {
	if !slices.ContainsFunc(p, func(s step) bool { return s.inner != nil }) {
		return p, true, nil
	}
	used := e.used
	e.used = map[string]bool{}
	defer func() { e.used = used }() // an index chooses among values; it is no part of one
	p = slices.Clone(p)
	for i, s := range p {
		if s.inner == nil {
			continue
		}
		text, ok, err := e.value(s.inner)
		if err != nil || !ok {
			return nil, false, err
		}
		p[i] = step{name: text, indexed: true}
	}
	return p, true, nil
}

// walk goes on from a place. Names of variables come before what the text of a variable says as JSON.
func (e *evaluator) walk(at place, steps path, in *frame) (place, bool, error) {
	for _, s := range steps {
		if at.name != "" {
			next, ok, err := e.child(at.name, s)
			if err != nil {
				return place{}, false, err
			}
			if ok {
				at = next
				continue
			}
		}
		if text, ok := at.members[strings.ToLower(s.name)]; ok && !s.indexed {
			at = place{value: text, origin: at.origin}
			continue
		}
		next, ok, err := e.property(at, s.name, in)
		if err != nil || !ok {
			return place{}, false, err
		}
		at = next
	}
	return at, true, nil
}

// child is the place one step below a name, if any variable is there or below.
func (e *evaluator) child(name string, s step) (place, bool, error) {
	if !s.indexed {
		name += "." + s.name
		return place{name: name}, e.exists(name), nil
	}
	if s.name == "*" {
		all, err := e.children(name)
		if err != nil || len(all) == 0 {
			return place{}, false, err
		}
		return all[0], true, nil
	}
	below := place{name: name + "[" + s.name + "]", index: s.name, indexed: true}
	return below, e.exists(below.name), nil
}

func (e *evaluator) exists(name string) bool {
	if _, ok := e.source.Lookup(name); ok {
		return true
	}
	return len(e.source.Names(name+".")) > 0 || len(e.source.Names(name+"[")) > 0
}

// children are the places that a name has by index, each once, in the order of the variables.
func (e *evaluator) children(name string) ([]place, error) {
	names := e.source.Names(name + "[")
	if err := e.spend(64 * len(names)); err != nil {
		return nil, err
	}
	var all []place
	seen := map[string]bool{}
	for _, whole := range names {
		p := parser{src: whole}
		end, ok := p.brackets(len(name))
		if !ok || seen[strings.ToLower(whole[:end])] {
			continue
		}
		seen[strings.ToLower(whole[:end])] = true
		all = append(all, place{name: whole[:end], index: whole[len(name)+1 : end-1], indexed: true})
	}
	return all, nil
}

// property reads the text of a place as JSON. A text that is no JSON has none; nor has one that is being read already,
// so that a JSON text may name its own parts.
func (e *evaluator) property(at place, name string, in *frame) (place, bool, error) {
	text, ok := at.value, at.name == ""
	if !ok {
		if text, ok = e.source.Lookup(at.name); !ok {
			return place{}, false, nil
		}
	}
	origin := at.origin
	if strings.Contains(text, "#{") {
		key := strings.ToLower(at.name) + "\x00" + text
		if slices.Contains(e.walking, key) {
			return place{}, false, nil
		}
		e.walking = append(e.walking, key)
		outer, missing := e.used, len(e.missing)
		e.used = map[string]bool{}
		var err error
		text, err = e.expand(at, text, in, at.name)
		origin = slices.Sorted(maps.Keys(e.used))
		e.used, e.missing = outer, e.missing[:missing]
		e.walking = e.walking[:len(e.walking)-1]
		if errors.Is(err, ErrLoop) {
			return place{}, false, nil
		}
		if err != nil {
			return place{}, false, err
		}
	} else if at.name != "" {
		origin = []string{at.name}
	}
	value, err := e.json(text)
	if err != nil || value == nil {
		return place{}, false, err
	}
	switch value.Kind {
	case '{':
		part := value.Member(name)
		return place{value: part, origin: origin}, true, nil
	case '[':
		i, err := strconv.Atoi(strings.TrimSpace(name))
		if err != nil || i < 0 {
			return place{}, false, nil
		}
		if i >= len(value.Items) {
			return place{origin: origin}, true, nil // past the end is empty, as a name that is not there is
		}
		return place{value: value.Items[i].Text(), origin: origin}, true, nil
	}
	return place{}, false, nil
}

// json reads a text once, however often it is asked for.
func (e *evaluator) json(text string) (*relaxed.Value, error) {
	value, ok := e.read[text]
	if ok {
		return value, e.spend(len(text) / 16)
	}
	if err := e.spend(4 * len(text)); err != nil {
		return nil, err
	}
	value = relaxed.Parse(text)
	if e.read == nil {
		e.read = map[string]*relaxed.Value{}
	}
	e.read[text] = value
	return value, nil
}

// items are what an #{each} walks: what a variable without text has by index, the members of a JSON text, or the words
// between the commas.
func (e *evaluator) items(over path) ([]place, error) {
	found, in, ok, err := e.find(over)
	if err != nil || !ok {
		return nil, err
	}
	if found.name != "" {
		_, hasText := e.source.Lookup(found.name)
		children, err := e.children(found.name)
		if err != nil || !hasText && len(children) > 0 {
			return children, err
		}
	}
	text, ok := found.text(e.source)
	if !ok {
		return nil, nil
	}
	outer := e.used
	e.used = map[string]bool{}
	text, err = e.expand(found, text, in, over.String())
	origin := slices.Sorted(maps.Keys(e.used))
	e.used = outer
	if err != nil {
		return nil, err
	}
	value, err := e.json(text)
	if err != nil {
		return nil, err
	}
	var items []place
	if value == nil || value.Kind != '{' && value.Kind != '[' {
		for word := range strings.SplitSeq(text, ",") {
			items = append(items, place{value: word, origin: origin})
		}
		return items, e.spend(64 * len(items))
	}
	for i, item := range value.Items {
		if value.Kind == '[' {
			items = append(items, place{value: item.Text(), origin: origin})
			continue
		}
		items = append(items, place{value: value.Names[i], origin: origin, members: map[string]string{
			"key": value.Names[i], "value": item.Text(),
		}})
	}
	return items, e.spend(64 * len(items))
}
