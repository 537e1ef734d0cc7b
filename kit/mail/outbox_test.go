package mail_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/mail"
)

// sealer hides what it seals and binds it to its place.
type sealer struct{}

func (sealer) Seal(plain []byte, place string) (string, error) {
	return place + "|" + base64.StdEncoding.EncodeToString(plain), nil
}

func (sealer) Open(sealed, place string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, place+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return base64.StdEncoding.DecodeString(text)
}

// hints is a bus of one subscriber.
type hints chan string

func (h hints) Publish(topics ...string) {
	for _, t := range topics {
		h <- t
	}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type office struct {
	*mail.Outbox
	t     *testing.T
	db    *db.DB
	clock *clock
	hints hints
}

func open(t *testing.T, d *db.DB, s *mail.Sender, c *clock) *office {
	t.Helper()
	o := &office{t: t, db: d, clock: c, hints: make(hints, 100)}
	var err error
	o.Outbox, err = mail.NewOutbox(t.Context(), mail.Options{DB: d, Sealer: sealer{}, Bus: o.hints, Sender: s, Logger: slog.New(slog.DiscardHandler), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) put(m mail.Message) {
	o.t.Helper()
	if err := o.db.Tx(o.t.Context(), func(tx *sql.Tx) error { return o.Put(o.t.Context(), tx, m, o.clock.Now().Add(time.Hour)) }); err != nil {
		o.t.Fatal(err)
	}
}

// run works until stop is called.
func (o *office) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = o.Run(ctx, o.hints) }()
	return func() { cancel(); <-done }
}

func (o *office) waiting() []mail.Waiting {
	o.t.Helper()
	all, err := o.List(o.t.Context(), 10)
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if f() {
			return
		}
		timer := time.NewTimer(5 * time.Millisecond)
		<-timer.C
	}
	t.Fatalf("not in time: %s", what)
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func secretMessage() mail.Message {
	return mail.Message{To: "geoff@consult.example", Subject: "Welcome", Text: "https://odcm.example.com/invitation?link=TOPSECRET"}
}

func TestMailIsSentAndForgotten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := (&sink{}).open(t, "127.0.0.1:0", false)
		o := open(t, d, s.sender(mail.None, ""), &clock{now: start})
		defer o.run()()
		o.put(secretMessage())
		eventually(t, "the message is there and forgotten here", func() bool { return len(s.messages()) == 1 && len(o.waiting()) == 0 })
	})
}

func TestWhatIsRolledBackIsNotSent(t *testing.T) {
	t.Parallel()
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)), (&sink{port: 1}).sender(mail.None, ""), &clock{now: start})
	gone := errors.New("the change failed")
	err := o.db.Tx(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(o.Put(t.Context(), tx, secretMessage(), start.Add(time.Hour)), gone)
	})
	if !errors.Is(err, gone) || len(o.waiting()) != 0 || len(o.hints) != 0 {
		t.Errorf("%v; waiting %v, hints %d", err, o.waiting(), len(o.hints))
	}
}

func TestMailSurvivesAServerThatIsDownAndACrash(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody listens on afterwards
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		c := &clock{now: start}
		down := &sink{port: port}
		first := open(t, d, down.sender(mail.None, ""), c)
		stop := first.run()
		first.put(secretMessage())
		eventually(t, "a try that failed", func() bool { w := first.waiting(); return len(w) == 1 && w[0].Error != "" })
		stop() // killed
		if w := first.waiting()[0]; w.Tries != 1 || w.Refused || !w.Next.After(start) || strings.Contains(w.Error, "TOPSECRET") {
			t.Errorf("waiting %+v", w)
		}
		var body string
		if err := d.Read().QueryRow(`SELECT body FROM mail_message`).Scan(&body); err != nil || strings.Contains(body, "TOPSECRET") {
			t.Errorf("kept in the clear: %s, %v", body, err)
		}
		up := (&sink{}).open(t, "127.0.0.1:"+strconv.Itoa(port), false)
		c.pass(10 * time.Minute)
		second := open(t, d, up.sender(mail.None, ""), c)
		defer second.run()()
		eventually(t, "the message arrives after all", func() bool { return len(up.messages()) == 1 && len(second.waiting()) == 0 })
	})
}

func TestEachMessageIsTakenByOneReplica(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := (&sink{}).open(t, "127.0.0.1:0", false)
		c := &clock{now: start}
		one, other := open(t, d, s.sender(mail.None, ""), c), open(t, d, s.sender(mail.None, ""), c)
		for range 30 {
			one.put(secretMessage())
		}
		defer one.run()()
		defer other.run()()
		eventually(t, "all are sent", func() bool { return len(one.waiting()) == 0 })
		if n := len(s.messages()); n != 30 {
			t.Errorf("%d messages arrived of 30", n)
		}
	})
}

func TestWhatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := (&sink{refuse: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}}).open(t, "127.0.0.1:0", false)
	c := &clock{now: start}
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)), s.sender(mail.None, ""), c)
	stop := o.run()
	o.put(secretMessage())
	eventually(t, "the refusal is noted", func() bool { w := o.waiting(); return len(w) == 1 && w[0].Refused })
	stop()
	c.pass(8 * 24 * time.Hour)
	defer o.run()()
	eventually(t, "it is forgotten after a week", func() bool { return len(o.waiting()) == 0 })
}

func TestWhatIsOfNoUseAnyMoreIsNotSent(t *testing.T) {
	t.Parallel()
	s := (&sink{}).open(t, "127.0.0.1:0", false)
	c := &clock{now: start}
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)), s.sender(mail.None, ""), c)
	o.put(secretMessage())
	c.pass(2 * time.Hour)
	defer o.run()()
	eventually(t, "it is forgotten", func() bool { return len(o.waiting()) == 0 })
	if len(s.messages()) != 0 {
		t.Error("a link that has expired was sent")
	}
}

func TestWithoutAServerNothingIsPut(t *testing.T) {
	t.Parallel()
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)), nil, &clock{now: start})
	err := o.db.Tx(t.Context(), func(tx *sql.Tx) error { return o.Put(t.Context(), tx, secretMessage(), start.Add(time.Hour)) })
	if odcm.CodeOf(err) != "mail.not-set-up" || o.Ready() {
		t.Errorf("%v, %v", err, o.Ready())
	}
}
