package instance

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFindReady(t *testing.T) {
	t.Parallel()
	const line = `{"url":"http://127.0.0.1:8085","version":"2026.1.0","installationId":"a-b"}`
	want := ready{"http://127.0.0.1:8085", "2026.1.0", "a-b"}
	for name, c := range map[string]struct {
		output string
		want   ready
	}{
		"alone":                       {line + "\n", want},
		"after other lines":           {"starting\n{}\n\n" + line + "\n", want},
		"before other lines":          {line + "\nrunning\n", want},
		"the first of two":            {line + "\n" + strings.Replace(line, "8085", "9", 1) + "\n", want},
		"with members that are newer": {strings.Replace(line, "{", `{"more":[1],`, 1) + "\n", want},
		"still being written":         {line[:40], ready{}},
		"without its end":             {line, ready{}},
		"nothing":                     {"", ready{}},
		"an address that is none":     {strings.Replace(line, "http:", "javascript:", 1) + "\n", ready{}},
		"an address with a password":  {strings.Replace(line, "127", "u:p@127", 1) + "\n", ready{}},
		"without an installation":     {strings.Replace(line, "a-b", "", 1) + "\n", ready{}},
		"a version of two words":      {strings.Replace(line, "2026.1.0", "2026 1", 1) + "\n", ready{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := findReady([]byte(c.output)); got != c.want || (err == nil) != (c.want != ready{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func FuzzFindReady(f *testing.F) {
	f.Add([]byte(`{"url":"http://127.0.0.1:8085","version":"2026.1.0","installationId":"a"}` + "\n"))
	f.Add([]byte("x\n{\"url\":\"https://h\"}\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		r, err := findReady(output)
		if err != nil {
			return
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := findReady(append(line, '\n')); err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
