package collection

import (
	"net/url"
	"strings"
	"testing"

	"odcm/octopus"
)

func TestPathsFindAndDropIDs(t *testing.T) {
	t.Parallel()
	const body = `{"One":"a","Many":["b","c"],"Map":{"k1":["d","e"],"k2":["d"]},"Deep":{"X":"f"},"List":[{"Y":["g"]},{"Y":["h","g"]}]}`
	for path, want := range map[string]string{"One": "a", "Many[]": "b c", "Map{key}": "k1 k2", "Map{}[]": "d e d", "Deep.X": "f", "List[].Y[]": "g h g", "None": "", "One[]": "", "List[].Z": ""} {
		o, err := octopus.ParseObject([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		walkPath(o, path, func(id string) { got = append(got, id) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	for path, c := range map[string]struct{ id, want string }{
		"Many[]": {"b", `["c"]`}, "Map{}[]": {"d", `{"k1":["e"],"k2":[]}`}, "Map{key}": {"k1", `{"k2":["d"]}`},
	} {
		o, err := octopus.ParseObject([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		dropPath(&o, path, c.id)
		name := strings.TrimRight(path, "[]{}key")
		if name == "Man" {
			name = "Many"
		}
		if got, _ := o.Get(name); string(got) != c.want {
			t.Errorf("%s without %s: %s, want %s", path, c.id, got, c.want)
		}
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Pre Production": "pre-production", "  --A__b  ": "a-b", "Ünïcode 9": "n-code-9", "日本": "x", "": ""} {
		if got := Slug(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("skip=1&take=2147483647&ids=a,b,,c&IDS=d")
	f.Add("take=-1&skip=99999999999999999999")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if n := Number(q, "take", DefaultTake); n < 0 {
			t.Errorf("%q takes %d", raw, n)
		}
		for _, id := range Split(q, "ids") {
			if id == "" || strings.Contains(id, ",") {
				t.Errorf("%q has the id %q", raw, id)
			}
		}
		if strings.Contains(strings.ToLower(rest(q)), "apikey=") {
			t.Errorf("%q keeps the key in links", raw)
		}
	})
}
