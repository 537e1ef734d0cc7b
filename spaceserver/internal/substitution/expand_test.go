package substitution

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBombsEndInTime(t *testing.T) {
	t.Parallel()
	double := of("a0", "x")
	for i := range 60 {
		double.names, double.values = append(double.names, fmt.Sprintf("a%d", i+1)), append(double.values, fmt.Sprintf("#{a%d}#{a%d}", i, i))
	}
	short := of("a0", "x")
	for i := range 60 {
		short.names = append(short.names, fmt.Sprintf("a%d", i+1))
		short.values = append(short.values, fmt.Sprintf("#{if a%d == a%d}#{/if}", i, i))
	}
	deep := of()
	for i := range 100 {
		deep.names, deep.values = append(deep.names, fmt.Sprintf("d%d", i)), append(deep.values, fmt.Sprintf("#{d%d}", i+1))
	}
	list := of("L", strings.Repeat("x,", 100))
	each := strings.Repeat("#{each x in L}", 8) + "." + strings.Repeat("#{/each}", 8)
	lines := of("N", strings.Repeat("\n", 5000))
	for name, c := range map[string]struct {
		text string
		vars variables
		want error
	}{
		"variables that double":           {"#{a60}", double, ErrLimit},
		"variables that double in vain":   {"#{a60}", short, ErrLimit},
		"variables in a long row":         {"#{d0}", deep, ErrLimit},
		"each within each":                {each, list, ErrLimit},
		"filters that grow":               {"#{N" + strings.Repeat(" | Indent 255", 20) + "}", lines, ErrLimit},
		"replacements that grow":          {"#{N" + strings.Repeat(` | Replace "" "$0$0xxxxxxxxxxxxxxxxxxxx"`, 20) + "}", lines, ErrLimit},
		"escapes that grow":               {"#{N" + strings.Repeat(` | JsonEscape`, 60) + "}", lines, ErrLimit},
		"blocks that never end":           {strings.Repeat("#{if a}", 100_000), of(), ErrSyntax},
		"a few blocks that never end":     {strings.Repeat("#{if a}", 50) + strings.Repeat("#{b}", 20_000) + "#{", of(), ErrSyntax},
		"brackets that never end":         {"#{a" + strings.Repeat("[", 100_000), of(), ErrSyntax},
		"bindings in bindings":            {strings.Repeat("#{a[", 100_000), of(), ErrSyntax},
		"parentheses":                     {"#{calc " + strings.Repeat("(", 100_000), of(), ErrSyntax},
		"options in options":              {strings.Repeat("#{a|b ", 100_000), of(), ErrSyntax},
		"JSON in JSON":                    {"#{J.a}", of("J", strings.Repeat(`{"a":`, 100_000)), nil},
		"a value that is its own part":    {"#{J.a}", of("J", `{"a": "#{J.a}"}`), ErrLoop},
		"Markdown that costs":             {strings.Repeat("#{N | Markdown}", 50), of("N", strings.Repeat("_a*", 5_000)), ErrLimit},
		"a regular expression that costs": {strings.Repeat(`#{N | Replace "(a?){900}b" x}`, 200), of("N", strings.Repeat("a", 100_000)), ErrLimit},
		"a regular expression that grows": {`#{N | Replace "((a{0,100}){0,100}){0,100}" x}`, lines, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			got, err := Expand(c.text, c.vars, Limits{})
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if err != nil && got.Text != c.text {
				t.Errorf("a text that failed came back changed")
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestLoopNamesTheChainAndNoValue(t *testing.T) {
	t.Parallel()
	_, err := Expand("#{A}", of("A", "secret #{B}", "B", "hidden #{A}"), Limits{})
	if want := "a variable refers to itself: a -> b -> a"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	vars := of("Password", "p", "Url", "x:#{Password}@y", "Flag", "true", "List", "#{Password},b", "Json", `{"a":"#{Password}"}`, "Map[p]", "m")
	for text, want := range map[string]string{
		"#{Url}":                                  "Password,Url",
		"#{Password | ToBase64}":                  "Password",
		"#{Flag | Append #{Password}}":            "Flag,Password",
		"#{if Password}#{Flag}#{/if}":             "Flag",
		"#{if Password == \"p\"}yes#{/if}":        "",
		"#{each x in List}#{x}#{/each}":           "List,Password",
		"#{each x in List}.#{/each}":              "",
		"#{each x in List}#{if x}.#{/if}#{/each}": "",
		"#{Json.a}":                               "Json,Password",
		"#{Map[#{Password}]}":                     "Map[p]",
		"##{Password}":                            "",
	} {
		got, err := Expand(text, vars, Limits{})
		if err != nil || strings.Join(got.Used, ",") != want {
			t.Errorf("%s: used %v (%v), want %s", text, got.Used, err, want)
		}
	}
}

func TestMissingAndNull(t *testing.T) {
	t.Parallel()
	got, err := Expand("#{b}#{a | ToUpper}#{b}#{ok}", of("ok", "#{c}"), Limits{})
	if want := []string{"#{b}", "#{a | ToUpper}", "#{c}"}; err != nil || !slices.Equal(got.Missing, want) {
		t.Errorf("missing %v (%v), want %v", got.Missing, err, want)
	}
	if got, _ := Expand("#{if x}v#{else}#{ | null}#{/if}", of(), Limits{}); !got.Null {
		t.Error("the filter null gives a value")
	}
	if got, _ := Expand("#{x}", of("x", "#{ | null}"), Limits{}); got.Null {
		t.Error("a value within a text makes all of it null")
	}
}

func TestExpandFileKeepsWhatIsNoExpression(t *testing.T) {
	t.Parallel()
	text := `a=function(e){return"#{"===e?0:e},i="#{Web.Root}";c="#{Site[A]}"; #{if x} #{/each} "#{`
	want := `a=function(e){return"#{"===e?0:e},i="root";c="A"; #{if x} #{/each} "#{`
	got, err := ExpandFile(text, of("Web.Root", "root", "Site[A]", "A"), Limits{})
	if err != nil || got.Text != want {
		t.Errorf("got  %s (%v)\nwant %s", got.Text, err, want)
	}
}

// TestExpansionTerminates builds variables that name each other at random, and asks that each expansion ends, within its
// limits, the same way each time; and that a text without expressions is kept.
func TestExpansionTerminates(t *testing.T) {
	t.Parallel()
	limits := Limits{Output: 1 << 14, Steps: 20_000, Now: time.Unix(0, 0)}
	piece := rapid.SampledFrom([]string{"#{A}", "#{b}", "#{C[#{A}]}", "#{each x in C}", "#{x}", "#{/each}", "#{if A}", "#{else}", "#{/if}", "#{D.a}",
		"#{A | Indent 9}", "#{calc A+1}", "##{A}", "x", ",", `{"a":`, `}`, "1", "#", "[", "#{b | Append #{A}}"})
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, label), "") }
		vars := of("A", text("A"), "B", text("B"), "C[1]", text("C"), "C[2].n", text("Cn"), "D", text("D"))
		in := text("text")
		got, err := Expand(in, vars, limits)
		again, err2 := Expand(in, vars, limits)
		if got.Text != again.Text || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%q is %q (%v), and then %q (%v)", in, got.Text, err, again.Text, err2)
		}
		if len(got.Text) > max(limits.Output, len(in)) {
			t.Fatalf("%d bytes came out", len(got.Text))
		}
		if !strings.Contains(in, "#{") && got.Text != in {
			t.Fatalf("%q became %q", in, got.Text)
		}
	})
}

// FuzzExpand looks for texts that panic, take long or grow past the limit.
func FuzzExpand(f *testing.F) {
	for _, g := range readTable(f) {
		for _, c := range g.Cases {
			value := ""
			if len(g.Variables.values) > 0 {
				value = g.Variables.values[0]
			}
			f.Add(c.Text, value, value)
		}
	}
	limits := Limits{Output: 1 << 16, Steps: 100_000}
	f.Fuzz(func(t *testing.T, text, a, b string) {
		vars := of("A", a, "B", b, "List[x].y", a, "List[z]", b, "Foo", "#{A}")
		start := time.Now()
		for _, expand := range []func(string, Source, Limits) (Result, error){Expand, ExpandFile} {
			got, err := expand(text, vars, limits)
			if err == nil && len(got.Text) > max(limits.Output, len(text)) {
				t.Errorf("%d bytes came out", len(got.Text))
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func BenchmarkExpand(b *testing.B) {
	vars := of("Server", "Web01", "Port", "10933", "Url", "http://#{Server | ToLower}:#{Port}", "Flag", "True")
	for b.Loop() {
		if _, err := Expand("x=#{Url}; #{if Flag}y=#{Port}#{/if}; z=#{Url | UriPart Host}", vars, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExpandFile(b *testing.B) {
	text := strings.Repeat("<add key=\"a\" value=\"#{Server}:#{Port}\"/> and some text that has no expression in it at all\n", 1000)
	vars := of("Server", "Web01", "Port", "10933")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ExpandFile(text, vars, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
