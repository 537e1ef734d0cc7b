package activity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// memory is a sink that keeps everything.
type memory struct {
	mu     sync.Mutex
	text   []byte
	chunks int
	err    error
}

func (m *memory) Append(_ context.Context, _ string, chunk []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.chunks++
	m.text = append(m.text, chunk...)
	return nil
}

func (m *memory) entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Entry
	for e := range (chunk{body: m.text}).records() {
		all = append(all, e)
	}
	return all
}

func (m *memory) lines() (lines []string) {
	for _, e := range m.entries() {
		if e.Line != "" {
			lines = append(lines, e.Text)
		}
	}
	return lines
}

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	const secret = `p"ss&w<rd/1`
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	const key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\r\nq3JvbGxpbmdzdG9u\n-----END KEY-----\n"
	for name, c := range map[string]struct {
		secrets []string
		writes  []string
		want    string
	}{
		"nothing to hide":        {nil, []string{"hello"}, "hello"},
		"as it is":               {[]string{secret}, []string{"the " + secret + " is"}, "the ******** is"},
		"twice":                  {[]string{secret}, []string{secret + " " + secret}, "******** ********"},
		"in JSON":                {[]string{secret}, []string{`{"password":` + string(quoted) + `}`}, `{"password":"********"}`},
		"in JSON without HTML":   {[]string{secret}, []string{`{"password":"p\"ss&w<rd/1"}`}, `{"password":"********"}`},
		"in a URL":               {[]string{secret}, []string{"https://u:" + url.QueryEscape(secret) + "@host"}, "https://u:********@host"},
		"in base64":              {[]string{"correct horse"}, []string{strings.TrimRight(encoded("correct horse"), "=")}, "********"},
		"in base64 of more":      {[]string{"correct horse"}, []string{"Basic " + encoded("user:correct horse!")}, "Basic dXNlcjp********IQ=="},
		"the longest first":      {[]string{"pass", "password1"}, []string{"password1 pass"}, "******** ********"},
		"overlapping":            {[]string{"abcdef", "defghi"}, []string{"xabcdefghiy"}, "x********y"},
		"too short to hide":      {[]string{"ab", ""}, []string{"ab"}, "ab"},
		"lines of one":           {[]string{key}, []string{"see MIIEpAIBAAKCAQEA there"}, "see ******** there"},
		"all lines of one":       {[]string{key}, []string{key}, "********|********|********|********"},
		"over two writes":        {[]string{"correcthorse"}, []string{"x correct", "horse y"}, "x ********|******** y"},
		"over lines of a write":  {[]string{"correcthorse"}, []string{"x corr\necth\norse y"}, "x ********|********|******** y"},
		"what looks like a half": {[]string{"correcthorse"}, []string{"x cor", "ner"}, "x cor|ner"},
		"a half at the end":      {[]string{"correcthorse"}, []string{"x correcthor"}, "x ********"},
		"line ends stay":         {[]string{"zzz"}, []string{"a\n\nb\n"}, "a||b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &memory{}
			r := Record(Options{Sink: sink, Task: "ServerTasks-1"})
			r.Mask(c.secrets...)
			root := r.Root("Task")
			for _, w := range c.writes {
				root.Write(Info, w)
			}
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(sink.lines(), "|"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestNoSplitShowsASecret: however a text with secrets is cut into writes, none of them is in what was kept, with line ends
// or without; and what is no secret stays.
func TestNoSplitShowsASecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-c]{6,9}[0-9]`).Draw(t, "secret")
		form := rapid.SampledFrom([]func(string) string{func(s string) string { return s }, encoded, func(s string) string { return strings.TrimRight(encoded("x:"+s+"-tail"), "=") }}).Draw(t, "form")
		text := "begin " + rapid.StringMatching(`[a-c ]{0,6}`).Draw(t, "before") + form(secret) + " " + form(secret) + " end"
		sink := &memory{}
		r := Record(Options{Sink: sink, Task: "ServerTasks-1"})
		r.Mask(secret)
		root := r.Root("Task")
		waited := false // what is written late may show the smaller half of a secret whose rest nobody can know of
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			root.Write(Info, rest[:n])
			rest = rest[n:]
			if rapid.IntRange(0, 3).Draw(t, "time passes") == 0 {
				r.late()
				waited = true
			}
		}
		if err := r.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(sink.lines(), "")
		shown := form(secret)
		if middle := shown[len(shown)/4 : len(shown)-len(shown)/4-1]; strings.Contains(got, shown[:len(shown)-2]) || !waited && len(middle) >= 6 && strings.Contains(got, middle) || strings.Count(got, hidden) < 2 {
			t.Fatalf("%q shows %q", got, secret)
		}
		if !strings.HasPrefix(got, "begin ") || !strings.HasSuffix(got, " end") {
			t.Fatalf("%q lost more than secrets", got)
		}
	})
}

func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	sink := &memory{}
	r := Record(Options{Sink: sink, Task: "ServerTasks-1", Bytes: 1 << 20})
	root := r.Root("Task")
	for range 50_000 {
		root.Write(Info, strings.Repeat("x", 100))
	}
	root.Write(Error, "it went wrong")
	root.End(Failed)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := sink.lines()
	last := lines[len(lines)-1]
	if len(sink.text) > 2<<20 || lines[len(lines)-2] != "it went wrong" || !strings.Contains(last, "lines were left out") {
		t.Errorf("%d bytes that end in %q", len(sink.text), lines[len(lines)-2:])
	}
	if sink.chunks < 10 {
		t.Errorf("%d chunks: the flood was held in memory", sink.chunks)
	}
	if !r.Warned() {
		t.Error("the error is not counted")
	}
}

func TestLinesDoNotWaitLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{}
		r := Record(Options{Sink: sink, Task: "ServerTasks-1"})
		r.Mask("secret")
		root := r.Root("Task")
		root.Write(Info, "what ends in s")
		synctest.Wait()
		if len(sink.lines()) != 0 {
			t.Error("a line was written by itself")
		}
		time.Sleep(defaultFlush)
		synctest.Wait()
		if lines := sink.lines(); len(lines) != 1 || lines[0] != "what ends in s" {
			t.Errorf("after the flush: %q", lines)
		}
		root.Write(Info, "ecret goes on")
		time.Sleep(defaultFlush)
		synctest.Wait()
		if lines := sink.lines(); lines[1] != "******** goes on" {
			t.Errorf("the rest of a secret is %q", lines[1])
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSinkThatRefusesIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{err: context.DeadlineExceeded}
		r := Record(Options{Sink: sink, Task: "ServerTasks-1"})
		root := r.Root("Task")
		root.Write(Info, "kept")
		time.Sleep(5 * time.Second)
		for range 30_000 {
			root.Write(Info, strings.Repeat("x", 100))
		}
		sink.mu.Lock()
		sink.err = nil
		sink.mu.Unlock()
		r.mu.Lock()
		if len(r.buffer) > waitingBytes {
			t.Errorf("%d bytes wait", len(r.buffer))
		}
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := sink.lines()
		if lines[0] != "kept" || !strings.Contains(lines[len(lines)-1], "were lost") {
			t.Errorf("%q ... %q", lines[0], lines[len(lines)-1])
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add("secret\nof lines", "a text with secret", "of lines in it")
	f.Add("\x00\xff\xfe", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, secret, first, second string) {
		sink := &memory{}
		r := Record(Options{Sink: sink, Task: "ServerTasks-1"})
		r.Mask(secret)
		root := r.Root("Task")
		root.Write(Info, first)
		root.Write(Info, second)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, line := range sink.lines() {
			if plain := strings.ReplaceAll(line, hidden, "\n"); len(secret) >= shortest && !strings.ContainsAny(secret, "\r\n*") && strings.Contains(plain, secret) {
				t.Errorf("%q shows %q", line, secret)
			}
		}
	})
}
