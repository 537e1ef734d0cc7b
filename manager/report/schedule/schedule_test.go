package schedule_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/kit/signal"
	"odcm/manager/report/reporttest"
	"odcm/manager/report/schedule"
	"odcm/manager/report/schedule/schedulesql"
)

// post is an outbox that keeps what is put, in the database so that a transaction that fails leaves nothing.
type post struct {
	down bool // refuses
}

func (p *post) Ready() bool { return true }

func (p *post) Put(ctx context.Context, tx *sql.Tx, m mail.Message, _ time.Time) error {
	if p.down {
		return errors.New("the outbox is away")
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO test_post (recipient, subject, html, pictures) VALUES ($1, $2, $3, $4)`, m.To, m.Subject, m.HTML, len(m.Pictures))
	return err
}

type office struct {
	*reporttest.World
	t       *testing.T
	db      *db.DB
	store   *schedulesql.Store
	post    *post
	log     *eventlog.Log
	leases  *lease.Store
	mu      sync.Mutex
	now     time.Time
	service *schedule.Service
	missing bool // the owner is gone
}

func (o *office) Principal(ctx context.Context, id odcm.UserID) (odcm.Principal, error) {
	if o.missing {
		return odcm.Principal{}, odcm.E(odcm.Denied, "identity.disabled", "Lisa is disabled.")
	}
	return o.World.Principal(ctx, id)
}

func open(t *testing.T, d *db.DB) *office {
	t.Helper()
	ctx := context.Background()
	o := &office{World: reporttest.NewWorld(t, d), t: t, db: d, post: &post{}, now: reporttest.Now}
	o.Busy()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if o.log, err = eventlog.New(ctx, d, bus); err != nil {
		t.Fatal(err)
	}
	if o.store, err = schedulesql.New(ctx, d, o.log, o.post); err != nil {
		t.Fatal(err)
	}
	if o.leases, err = lease.New(ctx, d); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write().ExecContext(ctx, `CREATE TABLE test_post (recipient TEXT, subject TEXT, html TEXT, pictures BIGINT)`); err != nil {
		t.Fatal(err)
	}
	o.service = o.replica("a")
	return o
}

// replica is another process on the same database.
func (o *office) replica(name string) *schedule.Service {
	return schedule.New(schedule.Options{Store: o.store, Reports: o.Reports, People: o, Post: o.post, Authorizer: o, PublicURL: func() string { return "https://odcm.example" }, Leases: o.leases,
		Replica: name, Now: func() time.Time { o.mu.Lock(); defer o.mu.Unlock(); return o.now }})
}

func (o *office) at(t time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = t
}

func (o *office) sent() (all []string) {
	o.t.Helper()
	all, err := db.Collect(context.Background(), o.db.Read(), func(r db.Row) (to string, err error) { return to, r.Scan(&to) }, `SELECT recipient FROM test_post ORDER BY recipient`)
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

func (o *office) due() {
	o.t.Helper()
	if err := o.service.SendDue(context.Background(), map[string]time.Time{}); err != nil {
		o.t.Fatal(err)
	}
}

func plan() schedule.Plan {
	return schedule.Plan{Name: "Every Monday", Report: "deployments", Query: "last=week&by=project", Every: schedule.Weekly, Day: 1, Hour: 8, Zone: "Europe/Berlin", To: []string{"lisa@example.com", "geoff@consult.example"}}
}

func TestAReportIsSentWhenItIsDue(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		o := open(t, d)
		s, err := o.service.Create(t.Context(), reporttest.Lisa, plan())
		if err != nil {
			t.Fatal(err)
		}
		monday := time.Date(2026, 3, 23, 7, 0, 0, 0, time.UTC) // 8:00 in Berlin
		if !s.Due.Equal(monday) {
			t.Errorf("due %v", s.Due)
		}
		o.at(monday.Add(-time.Second))
		o.due()
		if len(o.sent()) != 0 {
			t.Fatal("too early")
		}
		o.at(monday)
		for range 3 {
			o.due()
		}
		if got := o.sent(); !slices.Equal(got, []string{"geoff@consult.example", "lisa@example.com"}) {
			t.Fatalf("sent to %v", got)
		}
		var html string
		var pictures int
		if err := d.Read().QueryRow(`SELECT html, pictures FROM test_post LIMIT 1`).Scan(&html, &pictures); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(html, "Payments") || strings.Contains(html, "Web Shop") || !strings.Contains(html, `src="cid:chart-0"`) || pictures != 1 {
			t.Errorf("%d pictures; it does not show what Lisa may see: %s", pictures, html)
		}
		// Down for a month: the next is sent once, late.
		o.at(monday.AddDate(0, 0, 30))
		for range 3 {
			o.due()
		}
		if n := len(o.sent()); n != 4 {
			t.Errorf("%d mails after a month", n)
		}
		found, err := o.service.Get(t.Context(), reporttest.Lisa, s.ID)
		if err != nil || !found.Due.Equal(time.Date(2026, 4, 27, 6, 0, 0, 0, time.UTC)) { // summer time
			t.Errorf("%+v %v", found, err)
		}
		sendings, err := o.service.Sendings(t.Context(), reporttest.Lisa, s.ID, 10)
		if err != nil || len(sendings) != 2 || sendings[1].To != 2 {
			t.Errorf("%+v %v", sendings, err)
		}
	})
}

func TestPausedAndSentNow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		o := open(t, d)
		s, err := o.service.Create(t.Context(), reporttest.Lisa, plan())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.service.Pause(t.Context(), reporttest.Lisa, s.ID, true); err != nil {
			t.Fatal(err)
		}
		o.at(s.Due)
		o.due()
		if len(o.sent()) != 0 {
			t.Error("sent while paused")
		}
		for range 2 {
			if _, err := o.service.SendNow(t.Context(), reporttest.Lisa, s.ID); err != nil {
				t.Fatal(err)
			}
		}
		if len(o.sent()) != 4 {
			t.Errorf("sent now: %v", o.sent())
		}
		if resumed, err := o.service.Pause(t.Context(), reporttest.Barry, s.ID, false); err != nil || !resumed.Due.After(s.Due) {
			t.Errorf("%+v %v", resumed, err)
		}
		if err := o.service.Delete(t.Context(), reporttest.Lisa, s.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := o.service.Get(t.Context(), reporttest.Lisa, s.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("deleted: %v", err)
		}
		events, err := o.log.List(t.Context(), eventlog.Filter{Subject: s.ID})
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
		}
		if want := []string{"report.schedule-deleted", "report.schedule-resumed", "report.sent", "report.sent", "report.schedule-paused", "report.scheduled"}; err != nil || !slices.Equal(types, want) {
			t.Errorf("%v %v", types, err)
		}
	})
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	s, err := o.service.Create(t.Context(), reporttest.Barry, plan())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.service.Get(t.Context(), reporttest.Lisa, s.ID); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("Lisa reads Barry's: %v", err)
	}
	if _, err := o.service.Create(t.Context(), reporttest.Bob, plan()); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("Bob schedules: %v", err)
	}
	people := plan()
	people.Report = "people"
	if _, err := o.service.Create(t.Context(), reporttest.Lisa, people); odcm.CodeOf(err) != "report.schedule-invalid" {
		t.Errorf("Lisa schedules who signed in: %v", err)
	}
	for name, list := range map[odcm.UserID]int{"user-lisa": 0, "user-barry": 1} {
		p, _ := o.World.Principal(t.Context(), name)
		if all, err := o.service.List(t.Context(), p, schedule.Position{}, 10); err != nil || len(all) != list {
			t.Errorf("%s: %v %v", name, all, err)
		}
	}
	if _, err := o.service.Update(t.Context(), reporttest.Barry, s.ID, 7, plan()); odcm.KindOf(err) != odcm.Conflict {
		t.Errorf("an old revision: %v", err)
	}
	o.missing = true // disabled since
	o.at(s.Due)
	o.due()
	found, err := o.service.Get(t.Context(), reporttest.Barry, s.ID)
	if err != nil || !found.Paused || found.Reason != "Lisa is disabled." || len(o.sent()) != 0 {
		t.Errorf("%+v %v; sent %v", found, err, o.sent())
	}
}

func TestPlansThatAreRefused(t *testing.T) {
	t.Parallel()
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	for name, change := range map[string]func(p *schedule.Plan){
		"no name": func(p *schedule.Plan) { p.Name = " " }, "line break": func(p *schedule.Plan) { p.Name = "a\r\nBcc: x@y.example" }, "no report": func(p *schedule.Plan) { p.Report = "x" },
		"filters": func(p *schedule.Plan) { p.Query = "last=never" }, "zone": func(p *schedule.Plan) { p.Zone = "Mars" }, "every": func(p *schedule.Plan) { p.Every = "hourly" },
		"weekday": func(p *schedule.Plan) { p.Day = 8 }, "day": func(p *schedule.Plan) { p.Every, p.Day = schedule.Monthly, 0 }, "hour": func(p *schedule.Plan) { p.Hour = 24 },
		"nobody": func(p *schedule.Plan) { p.To = nil }, "address": func(p *schedule.Plan) { p.To = []string{"x\r\nBcc: y@z.example"} }, "broken query": func(p *schedule.Plan) { p.Query = "%zz" },
	} {
		p := plan()
		change(&p)
		if _, err := o.service.Create(t.Context(), reporttest.Barry, p); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever replica dies when, and however long none runs, each period that was looked at is sent once and nothing twice.
func TestOncePerPeriod(t *testing.T) {
	t.Parallel()
	o := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	daily := plan()
	daily.Every, daily.To = schedule.Daily, []string{"lisa@example.com"}
	s, err := o.service.Create(t.Context(), reporttest.Lisa, daily)
	if err != nil {
		t.Fatal(err)
	}
	model := 0
	due := s.Due
	rapid.Check(t, func(rt *rapid.T) {
		o.at(o.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "hours")) * time.Hour))
		o.post.down = rapid.IntRange(1, 4).Draw(rt, "outbox is away") == 1
		var replicas sync.WaitGroup
		for range rapid.IntRange(1, 3).Draw(rt, "replicas") {
			ctx, cancel := context.WithCancel(context.Background())
			if rapid.IntRange(1, 4).Draw(rt, "killed") == 1 {
				cancel()
			}
			replicas.Go(func() {
				defer cancel()
				_ = o.replica("x").SendDue(ctx, map[string]time.Time{})
			})
		}
		replicas.Wait()
		o.post.down = false
		o.due()
		if !o.now.Before(due) {
			model++
			due = daily.Next(o.now)
		}
		if n := len(o.sent()); n != model {
			rt.Fatalf("%d mails, want %d", n, model)
		}
	})
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan  schedule.Plan
		after string
		want  string
	}{
		{schedule.Plan{Every: schedule.Daily, Hour: 2, Minute: 30, Zone: "Europe/Berlin"}, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"}, // 2:30 is not there: 3:30
		{schedule.Plan{Every: schedule.Daily, Hour: 2, Minute: 30, Zone: "Europe/Berlin"}, "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z"}, // 2:30 is there twice: the later
		{schedule.Plan{Every: schedule.Daily, Hour: 2, Minute: 30, Zone: "Europe/Berlin"}, "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		{schedule.Plan{Every: schedule.Monthly, Day: 31, Hour: 8, Zone: "UTC"}, "2026-01-31T08:00:00Z", "2026-02-28T08:00:00Z"},
		{schedule.Plan{Every: schedule.Monthly, Day: 1, Hour: 8, Zone: "Asia/Tokyo"}, "2026-12-15T00:00:00Z", "2026-12-31T23:00:00Z"},
		{schedule.Plan{Every: schedule.Weekly, Day: 7, Hour: 0, Zone: "UTC"}, "2026-03-22T00:00:00Z", "2026-03-29T00:00:00Z"},
	} {
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.plan.Next(after).Format(time.RFC3339); got != c.want {
			t.Errorf("%+v after %s: %s, want %s", c.plan, c.after, got, c.want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := schedule.Plan{Every: rapid.SampledFrom([]schedule.Every{schedule.Daily, schedule.Weekly, schedule.Monthly}).Draw(rt, "every"), Day: rapid.IntRange(1, 7).Draw(rt, "day"),
			Hour: rapid.IntRange(0, 23).Draw(rt, "hour"), Minute: rapid.IntRange(0, 59).Draw(rt, "minute"),
			Zone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(rt, "zone")}
		after := time.Unix(rapid.Int64Range(1.2e9, 2e9).Draw(rt, "after"), 0)
		next := p.Next(after)
		most := map[schedule.Every]time.Duration{schedule.Daily: 49 * time.Hour, schedule.Weekly: 193 * time.Hour, schedule.Monthly: 33 * 24 * time.Hour}[p.Every]
		if !next.After(after) || next.Sub(after) > most {
			rt.Fatalf("%+v after %v: %v", p, after, next)
		}
	})
}
