package audithttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"odcm"
)

// difference is one value that an event knows, before and after.
type difference struct {
	Path, Before, After string
	Changed             bool
}

// Bounds of what is shown of one event; the export has it whole.
const (
	maxDifferences = 200
	maxValue       = 500
	maxDepth       = 20
)

// differences compares what an event says was before and is after, value by value, sorted by path.
func differences(e odcm.Event) []difference {
	before, after := flatten(e.Before), flatten(e.After)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	var all []difference
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if len(all) == maxDifferences {
			break
		}
		d := difference{Path: path, Before: before[path], After: after[path]}
		d.Changed = e.Before != nil && e.After != nil && d.Before != d.After
		all = append(all, d)
	}
	return all
}

// flatten gives the leaves of a JSON text by their paths: "roles[0]", "settings.url". A leaf at the top has the path
// "value".
func flatten(raw json.RawMessage) map[string]string {
	leaves := map[string]string{}
	if len(raw) == 0 {
		return leaves
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // large numbers keep their digits
	if d.Decode(&v) != nil {
		return map[string]string{"value": cut(string(raw))}
	}
	add(leaves, "", v, 0)
	return leaves
}

func add(leaves map[string]string, path string, v any, depth int) {
	if m, ok := v.(map[string]any); ok && len(m) > 0 && depth < maxDepth {
		for k, child := range m {
			p := k
			if path != "" {
				p = path + "." + k
			}
			add(leaves, p, child, depth+1)
		}
		return
	}
	if l, ok := v.([]any); ok && len(l) > 0 && depth < maxDepth {
		for i, child := range l {
			add(leaves, path+"["+strconv.Itoa(i)+"]", child, depth+1)
		}
		return
	}
	if path == "" {
		path = "value"
	}
	switch v := v.(type) {
	case string:
		leaves[path] = cut(v)
	case nil:
		leaves[path] = "none"
	case map[string]any, []any:
		b, _ := json.Marshal(v)
		leaves[path] = cut(string(b))
	default:
		leaves[path] = cut(fmt.Sprint(v))
	}
}

// cut shortens a value by whole characters.
func cut(s string) string {
	if r := []rune(s); len(s) > maxValue && len(r) > maxValue {
		return string(r[:maxValue]) + "…"
	}
	return s
}
