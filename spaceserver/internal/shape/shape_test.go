package shape_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/shape"
)

const thing = `{"Name":"","Kind":"A|B","On":false,"Count":3,"Any":null,"Own":{},"List":[""],"Preset":["x"],"Parts":[{"Id":"<guid>","Name":"","Deep":{"Flag":true}}]}`

func fit(t testing.TB, template, sent string) (octopus.Object, []string) {
	t.Helper()
	s, err := shape.Parse([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	o, err := octopus.ParseObject([]byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	return s.FitMembers(o, "", &problems), problems
}

func text(t testing.TB, o octopus.Object) string {
	t.Helper()
	b, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestShapeFills(t *testing.T) {
	t.Parallel()
	got, problems := fit(t, thing, `{}`)
	if want := `{"Name":"","Kind":"A","On":false,"Count":3,"Any":null,"Own":{},"List":[],"Preset":["x"],"Parts":[]}`; text(t, got) != want || problems != nil {
		t.Errorf("got %s, %v", text(t, got), problems)
	}
}

func TestShapeSpellsAndKeeps(t *testing.T) {
	t.Parallel()
	got, problems := fit(t, thing, `{"zeta":{"lower":1},"kind":"b","name":"n","own":{"octopus.action":"x"},"parts":[{"ID":"1","name":"p","more":[1.50]}],"Count":1.0}`)
	want := `{"Name":"n","Kind":"B","On":false,"Count":1.0,"Any":null,"Own":{"octopus.action":"x"},"List":[],"Preset":["x"],` +
		`"Parts":[{"Id":"1","Name":"p","Deep":{"Flag":true},"more":[1.50]}],"zeta":{"lower":1}}`
	if text(t, got) != want || problems != nil {
		t.Errorf("got  %s\nwant %s\n%v", text(t, got), want, problems)
	}
}

func TestShapeGivesIDs(t *testing.T) {
	t.Parallel()
	got, _ := fit(t, `{"New":"<guid>","Own":"<guid?>","Sent":"<guid?>"}`, `{"New":"","Own":""}`)
	if len(got.Text("New")) != 36 || got.Text("Own") != "" || len(got.Text("Sent")) != 36 {
		t.Errorf("ids: %s", text(t, got))
	}
}

func TestShapeTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, problems := fit(t, thing, `{"Name":1,"Kind":"C","On":"yes","Count":"3","Own":[],"List":{},"Parts":[{"Deep":7}]}`)
	want := "Name must be text.|Kind must be one of A, B, not 'C'.|On must be true or false.|Count must be a number.|Own must be an object.|List must be an array.|Parts[0].Deep must be an object."
	if got := strings.Join(problems, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFittingTwiceChangesNothing holds for what clients read and write back.
func TestFittingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		members := rapid.MapOf(rapid.SampledFrom([]string{"Name", "kind", "On", "Own", "List", "Parts", "extra", "EXTRA", "Any"}),
			rapid.SampledFrom([]string{`"A"`, `"b"`, `null`, `true`, `12`, `[]`, `["a"]`, `{}`, `{"x":{"y":null}}`, `[{"name":"q","Zed":1}]`})).Draw(r, "members")
		var o octopus.Object
		for name, value := range members {
			o.Set(name, json.RawMessage(value))
		}
		s, err := shape.Parse([]byte(thing))
		if err != nil {
			r.Fatal(err)
		}
		var problems, again []string
		once := s.FitMembers(o, "", &problems)
		twice := s.FitMembers(once, "", &again)
		a, _ := once.MarshalJSON()
		b, _ := twice.MarshalJSON()
		if string(a) != string(b) || len(again) > 0 {
			r.Fatalf("once %s\ntwice %s %v", a, b, again)
		}
	})
}

func FuzzShape(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"x","Parts":[{"Deep":{}}]}`, `{"Name":null,"NAME":"a","name":"b"}`, `{"List":[1,{"a":[[]]}]}`, `{"":""}`} {
		f.Add([]byte(seed))
	}
	s, err := shape.Parse([]byte(thing))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := collection.ReadObject(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		var problems []string
		fitted := s.FitMembers(o, "", &problems)
		out, err := fitted.MarshalJSON()
		if err != nil || !json.Valid(out) {
			t.Fatalf("%q became %q: %v", b, out, err)
		}
		for _, name := range []string{"Name", "Kind", "Parts"} {
			if _, ok := fitted.Get(name); !ok {
				t.Fatalf("%q lost %s", b, name)
			}
		}
	})
}
