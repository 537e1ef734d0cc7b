package mail_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"odcm"
	"odcm/kit/mail"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const from = "ODCM <odcm@example.com>"
	for url, want := range map[string]string{
		"smtp://mail.example.com":                                 "smtp://mail.example.com:587?tls=mandatory",
		"smtp://bob:p%40ss@mail.example.com:25?tls=opportunistic": "smtp://bob@mail.example.com:25?tls=opportunistic",
		"smtp://127.0.0.1:1025/?tls=none":                         "smtp://127.0.0.1:1025?tls=none",
		"smtps://bob:secret@mail.example.com":                     "smtps://bob@mail.example.com:465",
	} {
		s, err := mail.Parse(url, from)
		if err != nil || s.String() != want {
			t.Errorf("%s: %s, %v; want %s", url, s, err, want)
		}
	}
	if s, err := mail.Parse("smtp://bob:p%40ss@mail.example.com", from); err != nil || s.Password != "p@ss" || s.From.Name != "ODCM" {
		t.Errorf("%#v, %v", s, err)
	}
	for _, url := range []string{"", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://h?tls=maybe", "smtps://h?tls=none", "smtp://h?ssl=1",
		"smtp://h:0", "smtp://h:99999", "smtp://h/path", "smtp://bob:hunter2@h:x", "smtp://bob:hun/ter2@h", "smtp://h?tls=none#x", "smtp:opaque", "smtp://a b"} {
		_, err := mail.Parse(url, from)
		if odcm.CodeOf(err) != "mail.url-invalid" {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2")) {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
	}
	for _, from := range []string{"", "ODCM", "odcm@example.com\r\nBcc: x@y.example", "a@b.example, c@d.example"} {
		if _, err := mail.Parse("smtp://h", from); odcm.CodeOf(err) != "mail.from-invalid" {
			t.Errorf("from %q: %v", from, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("smtp://bob:hunter22@mail.example.com:587?tls=none", "ODCM <odcm@example.com>")
	f.Add("smtps://[::1]:465", "a@b.example")
	f.Fuzz(func(t *testing.T, url, from string) {
		s, err := mail.Parse(url, from)
		if err != nil {
			return
		}
		if s.Host == "" || s.Port < 1 || s.Port > 65535 || strings.ContainsAny(s.From.Name+s.From.Address+s.Host, "\r\n") {
			t.Fatalf("%q, %q: %+v", url, from, s)
		}
		if s.String() == "" || len(s.Password) > 6 && s.Password != s.Username && strings.Contains(s.String(), s.Password) && !strings.Contains(s.Host+s.Username, s.Password) {
			t.Fatalf("%q: %s shows the password", url, s)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"bob@example.com", "a\r\nBcc: b@c.example", "Bob <bob@example.com>", `"a b"@example.com`, "b@[127.0.0.1]", "bücher@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := mail.ParseAddress(s)
		if err == nil && (strings.ContainsAny(a, "\r\n\x00 <>,;:\"()") || strings.Count(a, "@") != 1 || a != strings.TrimSpace(s)) {
			t.Fatalf("%q gave %q", s, a)
		}
	})
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		security mail.Security
		password string
		tls      bool
	}{
		"in the clear where that was said": {mail.None, "", false},
		"by STARTTLS, signed in":           {mail.Mandatory, "hunter22", true},
		"by STARTTLS where there is one":   {mail.Opportunistic, "", true},
		"without STARTTLS where need be":   {mail.Opportunistic, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := (&sink{password: c.password}).open(t, "127.0.0.1:0", c.tls)
			m, err := mail.Letter{Product: "ODCM", Heading: "Welcome", Lines: []string{"A <b> line"}, Button: "Go", Link: "https://odcm.example.com/x?link=a&b=c"}.
				Message("geoff@consult.example", "Grüße")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.HTML, "A &lt;b&gt; line") || !strings.Contains(m.HTML, `href="https://odcm.example.com/x?link=a&amp;b=c"`) || !strings.Contains(m.Text, "https://odcm.example.com/x?link=a&b=c") {
				t.Errorf("written %s\n%s", m.Text, m.HTML)
			}
			if err := s.sender(c.security, c.password).Send(t.Context(), "mail-1", m); err != nil {
				t.Fatal(err)
			}
			got := s.messages()
			if len(got) != 1 || got[0].Header.Get("Message-Id") != "<mail-1@example.com>" || got[0].Header.Get("Auto-Submitted") != "auto-generated" ||
				!strings.HasPrefix(got[0].Header.Get("Content-Type"), "multipart/alternative") || s.to[0] != "geoff@consult.example" || s.from[0] != "odcm@example.com" {
				t.Errorf("arrived %+v, to %q from %q", got, s.to, s.from)
			}
		})
	}
}

func TestNothingAddsAHeaderOrARecipient(t *testing.T) {
	t.Parallel()
	s := (&sink{}).open(t, "127.0.0.1:0", false)
	for _, m := range []mail.Message{
		{To: "a@example.com\r\nBcc: evil@example.com", Subject: "x"}, {To: "a@example.com, evil@example.com", Subject: "x"}, {To: "", Subject: "x"},
		{To: "a@example.com", Subject: "x\r\nBcc: evil@example.com"}, {To: "a@example.com", Subject: "x\nX: y"}, {To: "a@example.com"},
		{To: "a@example.com>\r\nRCPT TO:<evil@example.com", Subject: "x"},
	} {
		if err := s.sender(mail.None, "").Send(t.Context(), "mail-1", m); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if len(s.messages()) != 0 || len(s.to) != 0 {
		t.Errorf("arrived %v for %q", s.got, s.to)
	}
}

func TestWhatIsWrongIsExplained(t *testing.T) {
	t.Parallel()
	plain := (&sink{}).open(t, "127.0.0.1:0", false)
	locked := (&sink{password: "hunter22"}).open(t, "127.0.0.1:0", true)
	refusing := (&sink{refuse: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}}).open(t, "127.0.0.1:0", false)
	full := (&sink{refuse: &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}}).open(t, "127.0.0.1:0", false)
	untrusted := &sink{port: locked.port}
	gone := &sink{port: 1}
	m := mail.Message{To: "a@example.com", Subject: "x", Text: "y"}
	for name, c := range map[string]struct {
		sender *mail.Sender
		code   string
	}{
		"no STARTTLS":       {plain.sender(mail.Mandatory, ""), "mail.no-starttls"},
		"no TLS":            {plain.sender(mail.Implicit, ""), "mail.tls"},
		"wrong password":    {locked.sender(mail.Mandatory, "wrong-password"), "mail.sign-in"},
		"unknown authority": {untrusted.sender(mail.Mandatory, ""), "mail.certificate"},
		"nobody there":      {gone.sender(mail.None, ""), "mail.unreachable"},
		"no such recipient": {refusing.sender(mail.None, ""), "mail.refused"},
		"recipient is full": {full.sender(mail.None, ""), "mail.not-taken"},
	} {
		err := c.sender.Send(t.Context(), "mail-1", m)
		if odcm.CodeOf(err) != c.code {
			t.Errorf("%s: %v (%s), want %s", name, err, odcm.CodeOf(err), c.code)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter22") || strings.Contains(err.Error(), "wrong-password")) {
			t.Errorf("%s shows a password: %v", name, err)
		}
	}
	if err := locked.sender(mail.Mandatory, "hunter22").Test(t.Context()); err != nil {
		t.Errorf("a test of what is right: %v", err)
	}
	if err := locked.sender(mail.Mandatory, "wrong-password").Test(t.Context()); odcm.CodeOf(err) != "mail.sign-in" {
		t.Errorf("a test of what is wrong: %v", err)
	}
}

func TestPicturesTravelWithTheMessage(t *testing.T) {
	t.Parallel()
	s := (&sink{}).open(t, "127.0.0.1:0", false)
	s.keep = true
	png := []byte("\x89PNG\r\n\x1a\nnot much of one")
	l := mail.Letter{Product: "ODCM", Heading: "Deployments", Lines: []string{"Last week."}, Parts: []mail.Part{
		{Heading: "By day", Picture: &mail.Picture{ID: "chart-0", PNG: png}, Alt: `30 "deployments" <b>`},
		{Head: []string{"Space", "All"}, Rows: [][]string{{"<script>", "30"}}},
	}}
	m, err := l.Message("geoff@consult.example", "Deployments")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`src="cid:chart-0"`, `alt="30 &#34;deployments&#34; &lt;b&gt;"`, "&lt;script&gt;"} {
		if !strings.Contains(m.HTML, part) {
			t.Errorf("%s is missing in %s", part, m.HTML)
		}
	}
	if !strings.Contains(m.Text, "Space     All\n<script>  30") {
		t.Errorf("as text: %s", m.Text)
	}
	if err := s.sender(mail.None, "").Send(t.Context(), "mail-1", m); err != nil {
		t.Fatal(err)
	}
	body := s.body()
	for _, part := range []string{"multipart/related", "multipart/alternative", "Content-Id: <chart-0>", base64.StdEncoding.EncodeToString(png)} {
		if !strings.Contains(body, part) {
			t.Errorf("%q is missing in %s", part, body)
		}
	}
	for _, p := range []mail.Picture{{ID: "x>\r\nBcc: a@b.example", PNG: png}, {ID: "large", PNG: make([]byte, 5<<20)}, {PNG: png}} {
		m.Pictures = []mail.Picture{p}
		if err := s.sender(mail.None, "").Send(t.Context(), "mail-2", m); odcm.CodeOf(err) != "mail.picture-invalid" {
			t.Errorf("picture %.20q: %v", p.ID, err)
		}
	}
}
