package octopus_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"odcm/octopus"
)

func parse(t *testing.T, s string) octopus.Object {
	t.Helper()
	o, err := octopus.ParseObject([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func text(t *testing.T, o json.Marshaler) string {
	t.Helper()
	b, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestObjectKeepsWhatItRead(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{}`,
		`{"z":1,"a":2,"M":3}`,
		`{"n":1.0,"big":123456789012345678901234567890,"e":1E+2,"neg":-0}`,
		`{"null":null,"deep":{"b":[1,{"y":null,"x":"<&>"}],"a":{}}}`,
		`{"Name":"one","name":"two"}`,
		`{"text":"\u00e9 \ud83d\ude00 é < > & \u2028"}`,
		`{"spaced" : 1}`,
	} {
		want := s
		if s == `{"spaced" : 1}` {
			want = `{"spaced":1}`
		}
		if got := text(t, parse(t, s)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestObjectRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, s := range []string{``, ` `, `null`, `[]`, `"a"`, `1`, `{`, `{"a":}`, `{} {}`, `{"a":1,}`, `{a:1}`} {
		if o, err := octopus.ParseObject([]byte(s)); err == nil {
			t.Errorf("%q was read as %v", s, o)
		}
	}
}

func TestObjectReadsPastAByteOrderMark(t *testing.T) {
	t.Parallel()
	if got := parse(t, "\xef\xbb\xbf{\"a\":1}").Int("a"); got != 1 {
		t.Error(got)
	}
}

func TestSetChangesInPlaceAndAddsAtTheEnd(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"id":"Projects-1","Name":"old","Links":{}}`)
	o.Set("name", "a < b")                  // another case: the kept spelling stays
	o.Set("Id", json.RawMessage(`"P-2"`))   // a raw value stays as it is
	o.Set("Extra", map[string]any{"x": ""}) // a new name goes to the end
	o.Delete("LINKS")
	if got, want := text(t, o), `{"id":"P-2","Name":"a < b","Extra":{"x":""}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestExactNameGoesBeforeAnyCase(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"NAME":"a","name":"b"}`)
	if o.Text("name") != "b" || o.Text("NAME") != "a" || o.Text("Name") != "a" {
		t.Errorf("%q %q %q", o.Text("name"), o.Text("NAME"), o.Text("Name"))
	}
}

func TestDuplicateNamesKeepFirstPlaceAndLastValue(t *testing.T) {
	t.Parallel()
	if got, want := text(t, parse(t, `{"a":1,"b":2,"a":3}`)), `{"a":3,"b":2}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAbsentNullAndWrongShapeReadAsZero(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"null":null,"list":[1],"text":"x","big":99999999999999999999}`)
	if o.Text("none") != "" || o.Text("null") != "" || o.Text("list") != "" || o.Int("text") != 0 || o.Int("big") != 0 ||
		o.Bool("text") || o.Texts("list") != nil || o.Object("list").Len() != 0 || o.Objects("text") != nil || !o.Time("text").IsZero() {
		t.Error("something is not zero")
	}
	if o.Has("null") || o.Has("none") || !o.Has("text") {
		t.Error("Has")
	}
	if raw, ok := o.Get("null"); !ok || string(raw) != "null" {
		t.Error("Get of null")
	}
}

func TestNullAmongObjectsIsAnEmptyObject(t *testing.T) {
	t.Parallel()
	items := parse(t, `{"Items":[{"Id":"A-1"},null]}`).Objects("Items")
	if len(items) != 2 || items[0].ID() != "A-1" || items[1].Len() != 0 {
		t.Error(items)
	}
	o := parse(t, `{"a":1}`)
	if err := json.Unmarshal([]byte("null"), &o); err != nil || o.Len() != 0 {
		t.Error(o, err)
	}
}

func TestCloneIsApart(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"a":1}`)
	c := o.Clone()
	c.Set("a", 2)
	c.Set("b", 3)
	if text(t, o) != `{"a":1}` {
		t.Error(text(t, o))
	}
}

func TestZeroObject(t *testing.T) {
	t.Parallel()
	var o octopus.Object
	if text(t, o) != `{}` || o.Has("a") || o.Len() != 0 {
		t.Error("the zero object is not empty")
	}
	o.Delete("a")
	o.Set("a", nil)
	if text(t, o) != `{"a":null}` {
		t.Error(text(t, o))
	}
}

func TestSetPanicsOnWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	for _, v := range []any{json.RawMessage(`{`), json.RawMessage(nil), make(chan int)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v was set", v)
				}
			}()
			var o octopus.Object
			o.Set("a", v)
		}()
	}
}

// names lists the keys of a JSON text in order, all levels, so that order can be compared.
func names(t *testing.T, b []byte) (keys []string) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	type level struct{ object, key bool }
	var stack []level
	for {
		token, err := dec.Token()
		if err != nil {
			return keys
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			if s, ok := token.(string); ok && stack[n-1].key {
				keys = append(keys, s)
				stack[n-1].key = false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{object: true, key: true})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			stack[n-1].key = true
		}
	}
}

// values decodes with the text of numbers, so that 1 and 1.0 differ.
func values(t *testing.T, b []byte) (v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	if !reflect.DeepEqual(values(t, got), values(t, want)) {
		t.Errorf("values differ\ngot  %.400s\nwant %.400s", got, want)
	}
	if g, w := names(t, got), names(t, want); !slices.Equal(g, w) {
		t.Errorf("names differ\ngot  %q\nwant %q", g, w)
	}
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1.0,"b":[{"c":null}],"A":"<"}`, `{"a":1,"a":2}`, `{"\ud800":1,"\ufffd":2}`, `null`, `[1]`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := octopus.ParseObject(b)
		if err != nil {
			return
		}
		out := []byte(text(t, o))
		plain := bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
		if !reflect.DeepEqual(values(t, out), values(t, plain)) {
			t.Fatalf("lost something\nin  %q\nout %q", plain, out)
		}
		// A name that occurs twice at the top is one after that; all other names stay where they were.
		var top []string
		for name := range o.All() {
			top = append(top, name)
		}
		if len(top) == countNames(t, plain) {
			if g, w := names(t, out), names(t, plain); !slices.Equal(g, w) {
				t.Fatalf("names differ\ngot  %q\nwant %q", g, w)
			}
		}
		again, err := octopus.ParseObject(out)
		if err != nil || !bytes.Equal([]byte(text(t, again)), out) {
			t.Fatalf("not stable: %v\n%q\n%q", err, out, text(t, again))
		}
		if viaStd, err := json.Marshal(o); err != nil || !reflect.DeepEqual(values(t, viaStd), values(t, plain)) {
			t.Fatalf("encoding/json: %v %q", err, viaStd)
		}
	})
}

// countNames counts the names at the top level, twice where they occur twice.
func countNames(t *testing.T, b []byte) (n int) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		var skip json.RawMessage
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
