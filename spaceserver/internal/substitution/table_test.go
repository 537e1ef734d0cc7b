package substitution

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// variables are a source in the order of a file, as Octostache's dictionary keeps its own.
type variables struct{ names, values []string }

func (v *variables) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		v.names, v.values = append(v.names, n.Content[i].Value), append(v.values, n.Content[i+1].Value)
	}
	return nil
}

func (v variables) Lookup(name string) (string, bool) {
	for i := range v.names {
		if strings.EqualFold(v.names[i], name) {
			return v.values[i], true
		}
	}
	return "", false
}

func (v variables) Names(prefix string) (names []string) {
	for _, name := range v.names {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			names = append(names, name)
		}
	}
	return names
}

func of(pairs ...string) (v variables) {
	for i := 0; i < len(pairs); i += 2 {
		v.names, v.values = append(v.names, pairs[i]), append(v.values, pairs[i+1])
	}
	return v
}

type group struct {
	Source    string
	Variables variables
	Cases     []struct {
		Text, Want, Error string
		With              variables
	}
}

func readTable(t testing.TB) []group {
	t.Helper()
	data, err := os.ReadFile("testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var groups []group
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

var clock = Limits{Now: time.Date(2016, 11, 3, 8, 53, 11, 94644800, time.UTC)}

// TestTable holds the expansion against the public documentation and the public library: at least 150 cases, each with its
// source. Package variable has those of precedence.
func TestTable(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, g := range readTable(t) {
		if !strings.HasPrefix(g.Source, "docs: ") && !strings.HasPrefix(g.Source, "octostache: ") {
			t.Errorf("group of %q: no source", g.Cases[0].Text)
		}
		for _, c := range g.Cases {
			cases++
			t.Run(c.Text, func(t *testing.T) {
				vars := variables{append(g.Variables.names, c.With.names...), append(g.Variables.values, c.With.values...)}
				got, err := Expand(c.Text, vars, clock)
				if want := map[string]error{"syntax": ErrSyntax, "loop": ErrLoop}[c.Error]; !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				if got.Text != c.Want {
					t.Errorf("got  %q\nwant %q\n%s", got.Text, c.Want, g.Source)
				}
			})
		}
	}
	t.Logf("%d cases", cases)
	if cases < 150 {
		t.Errorf("%d cases, want at least 150", cases)
	}
}
