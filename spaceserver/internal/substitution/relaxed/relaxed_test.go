package relaxed

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a": 1, "b": [true, null, "x"]}`:           `{"a":1,"b":[true,null,"x"]}`,
		`{Name: "t-shirt", Sizes: [{price: 15.0}]}`:  `{"Name":"t-shirt","Sizes":[{"price":15.0}]}`,
		"{'single': 'it\\'s', /* c */ a: 2, // d\n}": `{"single":"it's","a":2}`,
		` [ 1 , 2 , ] `:             `[1,2]`,
		`["\u00e9\ud83d\ude00\n<"]`: "[\"é😀\\n<\"]",
		`{"X-Large": {}}`:           `{"X-Large":{}}`,
	} {
		v := Parse(text)
		if v == nil || v.Text() != want {
			t.Errorf("%s: got %v, want %s", text, v, want)
		}
	}
	for _, text := range []string{"", "12", `"x"`, "{", "{Name: NoComma}", `{"a":1}}`, `{"a" 1}`, "[1 2]", `["\q"]`, `["\ud8"]`, strings.Repeat("[", 1000), "[NaN]", "[0x10]"} {
		if v := Parse(text); v != nil {
			t.Errorf("%s is %s", text, v.Text())
		}
	}
}

func TestMembersAreText(t *testing.T) {
	t.Parallel()
	v := Parse(`{"t": true, "n": null, "f": 11.50, "big": 12345678901234567890, "o": {"a": [1]}, "s": "x", "s": "last"}`)
	for name, want := range map[string]string{"t": "True", "n": "", "f": "11.5", "o": `{"a":[1]}`, "none": "", "s": "last", "big": "1.2345678901234567E+19"} {
		if got := v.Member(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// FuzzParse holds that what is read is written as strict JSON, and that strict JSON is read.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`{a: 'b'}`, `[1,2.5,"\u00e9"]`, "{/*", "[//", `{"a":{"b":[null]}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := Parse(text)
		if v == nil {
			return
		}
		if again := v.Text(); !json.Valid([]byte(again)) || Parse(again) == nil {
			t.Errorf("%q was written as %q", text, again)
		}
	})
}
