package configfile

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type values map[string]string

func (v values) Names(prefix string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix)) {
			names = append(names, name)
		}
	}
	return names
}

func (v values) Get(name string) (string, bool, error) {
	value, ok := v[name]
	if value == "loop" {
		return "", false, errors.New("a variable refers to itself")
	}
	return value, ok, nil
}

type row struct {
	Source, In, Out string
	Format          Format
	Variables       values
	Skipped         []string
}

func readTable(t testing.TB) (rows []row) {
	t.Helper()
	data, err := os.ReadFile("testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, r := range readTable(t) {
		if !strings.HasPrefix(r.Source, "docs: ") && !strings.HasPrefix(r.Source, "calamari: ") {
			t.Errorf("no source: %s", r.In)
		}
		got, report, err := Replace(r.Format, []byte(r.In), r.Variables)
		if err != nil || string(got) != r.Out || !slices.Equal(report.Skipped, r.Skipped) {
			t.Errorf("%s %s\ngot  %q (%v, skipped %v)\nwant %q", r.Source, r.Format, got, err, report.Skipped, r.Out)
		}
	}
}

func TestFilesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for format, text := range map[Format]string{
		JSON: "\ufeff{ \"a\":1 }\r\n", YAML: "a:   1\n\n\nb: {c:   d}\n", XML: "<a  b = 'c'></a>", Properties: "a = 1\\\n  2", Settings: "<a><appSettings/></a>",
	} {
		got, report, err := Replace(format, []byte(text), values{"other": "x", "//other": "y"})
		if err != nil || string(got) != text || len(report.Replaced) > 0 {
			t.Errorf("%s: %q became %q (%v)", format, text, got, err)
		}
	}
}

func TestMarksAndLineEndsStay(t *testing.T) {
	t.Parallel()
	for format, texts := range map[Format][2]string{
		JSON: {"\ufeff{\r\n\"a\":1}", "\ufeff{\r\n\"a\":2}"},
		YAML: {"\ufeffa: 1\r\nb: x\r\n", "\ufeffa: 2\r\nb: x\r\n"},
		XML:  {"<d>\r\n<a>1</a>\r\n</d>\r\n", "<d>\r\n<a>2</a>\r\n</d>\r\n"},
	} {
		got, report, err := Replace(format, []byte(texts[0]), values{"a": "2", "//a": "2"})
		if err != nil || string(got) != texts[1] || len(report.Replaced) != 1 {
			t.Errorf("%s: got %q (%v), want %q", format, got, err, texts[1])
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for format, text := range map[Format]string{JSON: `{"a":`, YAML: "a: [", XML: "<a>", Settings: "x", Properties: "\xff", "INI": "a=1"} {
		if got, _, err := Replace(format, []byte(text), values{"a": "1"}); err == nil {
			t.Errorf("%s: %q became %q", format, text, got)
		}
	}
	for format, text := range map[Format]string{JSON: `{"a": 1}`, YAML: "a: 1", Properties: "a=1", Settings: `<c><appSettings><add key="a"/></appSettings></c>`} {
		if _, _, err := Replace(format, []byte(text), values{"a": "loop"}); err == nil || !strings.Contains(err.Error(), "variable a") {
			t.Errorf("%s: a value that cannot be had is no error that names it: %v", format, err)
		}
	}
}

func TestNothingBreaksOutOfItsPlace(t *testing.T) {
	t.Parallel()
	in := `<d><!--c--><?p i?><a><![CDATA[x]]></a></d>`
	vars := values{"/d/comment()": "--><evil/>", "/d/processing-instruction()": "?><evil/>", "/d/a": "]]><evil/>"}
	got, report, err := Replace(XML, []byte(in), vars)
	if err != nil || string(got) != in || len(report.Skipped) != 3 {
		t.Errorf("got %s, %v, %v", got, report, err)
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"a.yml": YAML, "A.YAML": YAML, "b.xml": XML, "c.properties": Properties, "d.json": JSON, "e.txt": ""} {
		if got, _ := Detect(name, []byte("a: 1")); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got, _ := Detect("values.config", []byte("\ufeff{\"a\": 1}")); got != JSON {
		t.Errorf("JSON by its content is %q", got)
	}
}

// FuzzReplace looks for files that panic, or that come back as what is no file of the format.
func FuzzReplace(f *testing.F) {
	formats := []Format{JSON, YAML, XML, Properties, Settings}
	for _, r := range readTable(f) {
		for name, value := range r.Variables {
			f.Add(uint8(slices.Index(formats, r.Format)), r.In, name, value)
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, text, name, value string) {
		if name == "" || value == "loop" {
			return
		}
		kind := formats[int(format)%len(formats)]
		got, report, err := Replace(kind, []byte(text), values{name: value})
		if err != nil || len(report.Replaced) == 0 || kind == XML || kind == YAML {
			return // XML may hold characters that it cannot write, and YAML a fragment with an alias
		}
		if _, again, err := Replace(kind, got, values{name: value}); err != nil || kind == JSON && !slices.Equal(again.Replaced, report.Replaced) {
			t.Errorf("%s: %q became %q: %v", kind, text, got, err)
		}
	})
}
