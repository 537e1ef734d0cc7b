package filter

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func apply(t *testing.T, name, text string, options ...string) string {
	t.Helper()
	got, ok, err := Call{Text: text, Given: true, Options: options, Now: time.Unix(0, 0).UTC(), Room: 1 << 20}.Apply(name)
	if err != nil || !ok {
		return "nothing"
	}
	return got
}

// TestFormats takes its values from learn.microsoft.com, "Standard numeric format strings", "Custom numeric format strings",
// "Standard date and time format strings" and "Custom date and time format strings", for en-US.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, kind, form, want string }{
		{"123.456", "Decimal", "C", "$123.46"}, {"123.456", "Double", "C3", "$123.456"}, {"-123.456", "Decimal", "C", "-$123.46"},
		{"1234", "Int", "D", "1234"}, {"-1234", "Int32", "D6", "-001234"}, {"1234.5", "Int", "D", "nothing"}, {"1234.5", "Decimal", "D", "nothing"},
		{"1052.0329112756", "Double", "E", "1.052033E+003"}, {"-1052.0329112756", "Double", "e2", "-1.05e+003"},
		{"1234.567", "Decimal", "F", "1234.57"}, {"1234", "Decimal", "F1", "1234.0"}, {"-1234.56", "Decimal", "F4", "-1234.5600"},
		{"1234.567", "Decimal", "N", "1,234.57"}, {"1234", "Decimal", "N1", "1,234.0"}, {"-1234.56", "Decimal", "N3", "-1,234.560"},
		{"255", "Int", "X", "FF"}, {"255", "Int", "x4", "00ff"}, {"-1", "Int", "x", "ffffffff"}, {"1", "Decimal", "P", "100.00%"},
		{"-0.39678", "Decimal", "P1", "-39.7%"}, {"1.50", "Decimal", "G", "1.5"}, {"2.345", "Decimal", "F2", "2.35"},
		{"1234.5678", "Decimal", "00000", "01235"}, {"0.45678", "Decimal", "0.00", "0.46"}, {"1234.5678", "Decimal", "#####", "1235"},
		{"0.45678", "Decimal", "#.##", ".46"}, {"2147483647", "Decimal", "##,#", "2,147,483,647"}, {"0.3697", "Decimal", "%#0.00", "%36.97"},
		{"12.345", "Decimal", "#0.0#;(#0.0#);none", "12.35"}, {"-12.345", "Decimal", "#0.0#;(#0.0#);none", "(12.35)"}, {"0", "Decimal", "#0.0#;(#0.0#);none", "none"},
		{"1", "Decimal", "F99999", "nothing"}, {"1", "Decimal", "Q", "nothing"}, {"1e999999999", "Double", "F", "nothing"},

		{"2009-06-15T13:45:30", "Date", "d", "6/15/2009"}, {"2009-06-15T13:45:30", "Date", "D", "Monday, June 15, 2009"},
		{"2009-06-15T13:45:30", "Date", "f", "Monday, June 15, 2009 1:45 PM"}, {"2009-06-15T13:45:30", "Date", "G", "6/15/2009 1:45:30 PM"},
		{"2009-06-15T13:45:30", "Date", "M", "June 15"}, {"2009-06-15T13:45:30", "Date", "o", "2009-06-15T13:45:30.0000000"},
		{"2009-06-15T13:45:30-07:00", "DateTimeOffset", "O", "2009-06-15T13:45:30.0000000-07:00"},
		{"2009-06-15T13:45:30-07:00", "DateTimeOffset", "R", "Mon, 15 Jun 2009 20:45:30 GMT"},
		{"2009-06-15T13:45:30", "Date", "s", "2009-06-15T13:45:30"}, {"2009-06-15T13:45:30", "Date", "t", "1:45 PM"},
		{"2009-06-15T13:45:30", "Date", "u", "2009-06-15 13:45:30Z"}, {"2009-06-15T13:45:30", "Date", "Y", "June 2009"},
		{"2009-06-01T13:45:30", "Date", "%d", "1"}, {"2009-06-01T13:45:30", "Date", "dd ddd dddd", "01 Mon Monday"},
		{"2009-06-15T13:45:30.6175425", "Date", "ff FFF fffffff", "61 617 6175425"}, {"2009-06-15T01:45:30", "Date", "%h hh %H HH", "1 01 1 01"},
		{"2009-06-15T13:45:30", "Date", "%t tt", "P PM"}, {"2009-06-15T13:45:30", "Date", "%y yy yyy yyyy yyyyy", "9 09 2009 2009 02009"},
		{"2009-06-15T13:45:30+05:30", "DateTimeOffset", "%z zz zzz", "+5 +05 +05:30"}, {"2009-06-15T13:45:30", "Date", `HH\h 'at' "é" é`, "13h at é é"},
		{"2009-06-15", "Date", "'open", "nothing"}, {"2009-06-15", "Date", "Q", "nothing"}, {"2009-13-15", "Date", "d", "nothing"}, {"6/15/2009 1:45 PM", "Date", "HH:mm", "13:45"},
	} {
		if got := apply(t, "Format", c.text, c.kind, c.form); got != c.want {
			t.Errorf("%s as %s in %q is %q, want %q", c.text, c.kind, c.form, got, c.want)
		}
	}
}

func TestReplaceKnowsWhereItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, pattern, with, want string }{
		{"aaa", "^a", "x", "xaa"}, {"ab ab", `\bb`, "x", "ab ab"}, {"abc", "", "-", "-a-b-c-"}, {"a1", `(?P<n>\d)`, "<${n}>", "a<1>"},
		{"ab", "(a)(b)", "$2$1$9$&$$", "ba$9ab$"}, {"ab", "(a)", "$1x", "axb"},
	} {
		if got := apply(t, "Replace", c.text, c.pattern, c.with); got != c.want {
			t.Errorf("%s, %s -> %s: got %q, want %q", c.text, c.pattern, c.with, got, c.want)
		}
	}
	if got := apply(t, "Match", "ab", "a(?=b)"); got != "nothing" {
		t.Errorf("look-around gives %s: it cannot be done, and must not seem done", got)
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]string{"Indent": {"255"}, "Append": {strings.Repeat("x", 200)}, "Replace": {"", "xxxx"}, "HtmlEscape": nil, "ToBase64": nil} {
		_, _, err := Call{Text: strings.Repeat("<\n", 40), Given: true, Options: options, Room: 100}.Apply(name)
		if !errors.Is(err, ErrRoom) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUriParts(t *testing.T) {
	t.Parallel()
	for part, want := range map[string]string{
		"Authority": "example.com:8443", "HostAndPort": "example.com:8443", "Port": "8443", "IsDefaultPort": "false", "Path": "/a b",
		"AbsolutePath": "/a%20b", "SchemeAndServer": "https://example.com:8443", "UserInfo": "",
	} {
		if got := apply(t, "UriPart", "https://example.com:8443/a%20b", part); got != want {
			t.Errorf("%s is %q, want %q", part, got, want)
		}
	}
	for host, want := range map[string]string{"http://127.0.0.1/": "IPv4", "http://[::1]/": "IPv6", "http://x/": "Dns", "file:///x": "Basic"} {
		if got := apply(t, "UriPart", host, "HostNameType"); got != want {
			t.Errorf("%s is %q, want %q", host, got, want)
		}
	}
}
