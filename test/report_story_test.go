package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"odcm/kit/db"
	"odcm/test/browser"
	"odcm/test/company"
)

// TestReportStory is the promise of reports: the figures are those of the Spaces, also after ODCM was down for half of what
// happened; what that costs the servers stays small; and a report goes out by mail with its picture, by itself and when
// somebody asks for it.
func TestReportStory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real processes and deploys for half a minute")
	}
	t.Parallel()
	const spaces, each = 4, 60
	ctx, sink := t.Context(), openLetterbox(t)
	c, err := company.New(ctx, build(t), t.TempDir(), spaces, "--smtp", "smtp://"+sink.address+"?tls=none", "--mail-from", "ODCM <odcm@example.com>")
	if c != nil {
		t.Cleanup(func() {
			c.Close()
			if said, _ := os.ReadFile(c.Log()); t.Failed() {
				t.Logf("the processes said:\n%s", said)
			}
		})
	}
	s := &reportStory{t, ctx, c, sink}
	s.ok(err)
	s.ok(c.Up())
	s.ok(c.Enlist(ctx))
	s.ok(c.Deploy(ctx, each/2))
	s.equal()
	held, err := c.HeldDiffers(ctx)
	if s.ok(err); held != "" {
		t.Error(held)
	}
	id := s.schedule()

	// ODCM is down while the other half is deployed, and when the report is due.
	s.ok(c.Down())
	s.ok(c.Deploy(ctx, each-each/2))
	s.passes(id)
	s.ok(c.Up())
	began := time.Now()
	s.equal()
	t.Logf("the figures of %d Spaces were right again %s after the start", spaces, time.Since(began).Round(100*time.Millisecond))
	s.cheap(spaces, each)

	s.delivered("due while ODCM was down")
	s.ok(c.Ask(ctx, http.MethodPost, "/report-schedules/"+id+"/sendings", nil, nil))
	s.delivered("sent by REST")
	t.Run("pages", func(t *testing.T) { (&reportStory{t, ctx, c, sink}).pages(id) })
}

type reportStory struct {
	t    *testing.T
	ctx  context.Context
	c    *company.Company
	sink *letterbox
}

func (s *reportStory) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// equal waits until every figure is the Spaces' own.
func (s *reportStory) equal() {
	s.t.Helper()
	truth, err := s.c.Truth(s.ctx)
	s.ok(err)
	s.ok(company.Wait(s.ctx, "the figures are those of the Spaces", 2*patience, func() (string, error) { return s.c.Differs(s.ctx, truth) }))
	all := company.Ends{}
	for _, ends := range truth["by=space"] {
		for i, n := range ends {
			all[i] += n
		}
	}
	made := 0
	for _, space := range s.c.Spaces {
		made += space.Made
	}
	if all[0] == 0 || all[1] == 0 || all[2] == 0 || all[3] != 0 || all[0]+all[1]+all[2] != made || len(truth["kind=runbook-run"]) != len(s.c.Spaces) {
		s.t.Errorf("%d deployments were made; the Spaces say %v", made, truth)
	}
}

// cheap holds what was asked of the servers against their budget.
func (s *reportStory) cheap(spaces, each int) {
	s.t.Helper()
	asked, refused, err := s.c.Asked(s.ctx)
	s.ok(err)
	if len(asked) != spaces || refused != 0 {
		s.t.Errorf("asked: %v; refused %v", asked, refused)
	}
	for server, n := range asked {
		if most := company.Affordable(each); n == 0 || n > most {
			s.t.Errorf("%v requests of %s for %d deployments, at most %v are affordable", n, server, each, most)
		}
	}
	s.t.Logf("requests for reports: %v", asked)
}

// schedule has the report sent some day.
func (s *reportStory) schedule() (id string) {
	s.t.Helper()
	var made struct{ ID string }
	s.ok(s.c.Ask(s.ctx, http.MethodPost, "/report-schedules", map[string]any{"name": "Every Monday", "report": "deployments", "query": "last=7d&by=project", "every": "weekly", "day": 1, "hour": 8,
		"zone": "Europe/Berlin", "to": []string{"lisa@example.com"}}, &made))
	return made.ID
}

// passes lets the time come, while ODCM is down, at which a report is due.
func (s *reportStory) passes(id string) {
	s.t.Helper()
	d, err := db.Open(s.ctx, "sqlite:"+filepath.Join(filepath.Dir(s.c.Log()), "odcm", "odcm.db"), db.Options{})
	s.ok(err)
	defer d.Close()
	done, err := d.Write().ExecContext(s.ctx, `UPDATE report_schedule SET due = $1 WHERE id = $2`, time.Now().Add(-time.Second).UnixMilli(), id)
	s.ok(err)
	if n, err := done.RowsAffected(); n != 1 || err != nil {
		s.t.Fatalf("%d schedules, %v", n, err)
	}
}

// delivered waits for one letter and looks at it: a picture that the text shows, and the figures.
func (s *reportStory) delivered(when string) {
	s.t.Helper()
	var l letter
	select {
	case l = <-s.sink.arrived:
	case <-time.After(patience):
		s.t.Fatalf("%s: no letter within %s", when, patience)
	}
	if l.to != "lisa@example.com" || !strings.Contains(l.subject, "Every Monday") || !strings.Contains(l.parts["text/plain"], "Importer") || !strings.Contains(l.parts["text/html"], "Importer") {
		s.t.Errorf("%s: to %s, %q: %v", when, l.to, l.subject, l.parts)
	}
	if len(l.pictures) == 0 {
		s.t.Errorf("%s: no picture", when)
	}
	for id, picture := range l.pictures {
		shown, err := png.Decode(bytes.NewReader(picture))
		if err != nil || shown.Bounds().Dx() < 300 {
			s.t.Errorf("%s: picture %s: %v", when, id, err)
		}
		if !strings.Contains(l.parts["text/html"], "cid:"+id) {
			s.t.Errorf("%s: the text does not show the picture %s", when, id)
		}
	}
}

// pages looks at every page as the administrator, and has the report sent by a click.
func (s *reportStory) pages(id string) {
	v := &walker{browser.Open(s.t), s.t, s.c.URL}
	v.signIn("admin", company.Password)
	for path, text := range map[string]string{"/reports": "All reports", "/reports/deployments?by=project": "Importer", "/reports/deployments?project=nothing": "Nothing to count", "/reports/delivery": "Lead time",
		"/reports/inventory": "Targets", "/reports/versions": "Versions", "/reports/people": "admin", "/reports/requests": "Refused", "/reports/licences": "Servers", "/report-schedules": "Every Monday",
		"/report-schedules/new?report=delivery&environment=Production": "Schedule", "/report-schedules/" + id: "Given to the mail server"} {
		v.open(path)
		v.shows(text)
		for _, view := range browser.Views {
			v.Look(view)
			if wide := browser.Eval[int](v.Tab, `document.documentElement.scrollWidth`); int64(wide) > view.Width {
				s.t.Errorf("%s is %d wide on %s", path, wide, view.Name)
			}
			v.until(`[...document.images].every(i => i.complete && i.naturalWidth > 0)`)
		}
		v.Look(browser.Views[0])
	}
	v.look("reports-overview", "/reports", "All reports")
	v.look("reports-deployments", "/reports/deployments?by=project&last=7d", "Importer")
	v.open("/report-schedules/" + id)
	v.Press("Send now")
	v.shows("It is on its way")
	s.delivered("sent by the page")
}

// letterbox is a mail server that hands on what it takes.
type letterbox struct {
	address string
	arrived chan letter
}

// letter is what one holds: its texts by kind, its pictures by identifier.
type letter struct {
	to, subject string
	parts       map[string]string
	pictures    map[string][]byte
}

func openLetterbox(t *testing.T) *letterbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &letterbox{address: l.Addr().String(), arrived: make(chan letter, 100)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: box}, nil }))
	server.Domain = "mail.example.com"
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return box
}

type delivery struct {
	box *letterbox
	to  string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	l := letter{to: d.to, parts: map[string]string{}, pictures: map[string][]byte{}}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	if err := l.read(m.Header.Get("Content-Type"), m.Body); err != nil {
		return err
	}
	d.box.arrived <- l
	return nil
}

func (d *delivery) Reset()        {}
func (d *delivery) Logout() error { return nil }

// read takes a message or a part of one apart (RFC 2046).
func (l *letter) read(kind string, body io.Reader) error {
	kind, with, err := mime.ParseMediaType(kind)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(kind, "multipart/") {
		text, err := io.ReadAll(body)
		l.parts[kind] += string(text)
		return err
	}
	parts := multipart.NewReader(body, with["boundary"]) // it reads quoted-printable itself
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var text io.Reader = part
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
			text = base64.NewDecoder(base64.StdEncoding, part)
		}
		if id := strings.Trim(part.Header.Get("Content-ID"), "<>"); id != "" {
			if l.pictures[id], err = io.ReadAll(text); err != nil {
				return fmt.Errorf("picture %s: %w", id, err)
			}
			continue
		}
		if err := l.read(part.Header.Get("Content-Type"), text); err != nil {
			return err
		}
	}
}
