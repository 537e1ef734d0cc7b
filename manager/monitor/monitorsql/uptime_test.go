package monitorsql_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/monitor"
)

// truth is a Space's time in each status by its transitions alone.
func truth(all []monitor.Change, from, to time.Time) monitor.Spent {
	spent := monitor.Spent{}
	for i, c := range all {
		begin, end := c.Health.Since, to
		if i+1 < len(all) && all[i+1].Health.Since.Before(to) {
			end = all[i+1].Health.Since
		}
		if begin.Before(from) {
			begin = from
		}
		spent.Add(c.Health.Status, begin, end)
	}
	return spent
}

func wantSpent(t *testing.T, what string, got, want monitor.Spent, slack time.Duration) {
	t.Helper()
	for _, status := range []monitor.Status{monitor.Online, monitor.Draining, monitor.Degraded, monitor.Offline, monitor.Maintenance} {
		if math.Abs(float64(got[status]-want[status])) > float64(slack) {
			t.Errorf("%s: %v %s, want %v", what, got[status], status, want[status])
		}
	}
}

// Times are the same whether they come from transitions, from days that are rolled up, or from both; and stay when transitions
// are deleted.
func TestUptime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s, _ := open(t, d)
		dice := rand.New(rand.NewPCG(1, 2))
		const days, spaces = 30, 3
		first := monitor.DayAt(start)
		statuses := []monitor.Status{monitor.Online, monitor.Offline, monitor.Degraded, monitor.Maintenance, monitor.Draining, monitor.Unknown}
		made := map[odcm.SpaceID][]monitor.Change{}
		for i := range spaces {
			id := fmt.Sprintf("space-%d", i)
			for at := start; at.Before((first + days).Begin()); at = at.Add(time.Duration(dice.Int64N(int64(60 * time.Hour))).Truncate(time.Millisecond)) {
				status := statuses[dice.IntN(len(statuses))]
				if all := made[odcm.SpaceID(id)]; len(all) > 0 && (all[len(all)-1].Health.Status == status || !at.After(all[len(all)-1].Health.Since)) {
					continue
				}
				c := change(id, status, "", at)
				save(t, s, c)
				made[c.Space.ID] = append(made[c.Space.ID], c)
			}
		}
		check := func(what string, slack time.Duration) {
			t.Helper()
			for range 20 {
				from := start.Add(time.Duration(dice.Int64N(int64(days * 20 * time.Hour)))).Truncate(time.Millisecond)
				to := from.Add(time.Duration(1 + dice.Int64N(int64(5*24*time.Hour)))).Truncate(time.Millisecond)
				all, err := s.Spent(ctx, nil, from, to)
				if err != nil {
					t.Fatal(err)
				}
				for id, changes := range made {
					want := truth(changes, from, to)
					wantSpent(t, fmt.Sprintf("%s, %s from %v to %v", what, id, from, to), all[id].Spent, want, slack)
					one, err := s.Spent(ctx, []odcm.SpaceID{id}, from, to)
					if err != nil || len(one) > 1 {
						t.Fatalf("%v, %v", one, err)
					}
					wantSpent(t, what+", one", one[id].Spent, all[id].Spent, 0)
				}
			}
		}
		check("by transitions", 0)
		next, oldest, some, err := s.Rolled(ctx)
		if err != nil || next != 0 || oldest != first || !some {
			t.Fatalf("rolled %v %v %v %v", next, oldest, some, err)
		}
		for day := first; day < first+days/2; day++ {
			if err := s.RollUp(ctx, day); err != nil {
				t.Fatal(err)
			}
		}
		check("half rolled up", 0)
		for day := first + days/2; day < first+days; day++ {
			if err := s.RollUp(ctx, day); err != nil {
				t.Fatal(err)
			}
		}
		check("rolled up", 0)
		// What comes late makes its day be summed up again.
		late := change("space-0", monitor.Degraded, "late", made["space-0"][len(made["space-0"])-1].Health.Since.Add(time.Minute))
		save(t, s, late)
		made["space-0"] = append(made["space-0"], late)
		next, _, _, _ = s.Rolled(ctx)
		if next != monitor.DayAt(late.Health.Since) {
			t.Errorf("next is day %d, want %d", next, monitor.DayAt(late.Health.Since))
		}
		for day := next; day < first+days; day++ {
			if err := s.RollUp(ctx, day); err != nil {
				t.Fatal(err)
			}
		}
		check("rolled up again", 0)
		if err := s.Prune(ctx, (first + days).Begin(), first); err != nil {
			t.Fatal(err)
		}
		for id, changes := range made { // whole days are as before
			from, to := (first + 3).Begin(), (first + 20).Begin()
			all, err := s.Spent(ctx, nil, from, to)
			if err != nil {
				t.Fatal(err)
			}
			wantSpent(t, "pruned, "+string(id), all[id].Spent, truth(changes, from, to), 0)
			week, err := s.Days(ctx, id, first, first+7)
			if err != nil {
				t.Fatal(err)
			}
			for _, day := range week {
				wantSpent(t, "a day", day.Spent, truth(changes, day.Day.Begin(), (day.Day+1).Begin()), 0)
			}
		}
		check("pruned", 24*time.Hour) // parts of days are shares
		if err := s.Prune(ctx, (first + days).Begin(), first+days); err != nil {
			t.Fatal(err)
		}
		if week, err := s.Days(ctx, "space-1", first, first+7); err != nil || len(week) != 0 {
			t.Errorf("days that are too old: %v, %v", week, err)
		}
	})
}

func TestCount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s, _ := open(t, d)
		day := monitor.DayAt(start)
		var all []monitor.Tally
		for i := range 1100 {
			all = append(all, monitor.Tally{Space: odcm.SpaceID(fmt.Sprintf("space-%d", i)), Day: day, Pings: 6, Slow: 1, Sum: 12 * time.Millisecond, Max: 5 * time.Millisecond})
		}
		all = append(all, monitor.Tally{Space: "space-0", Day: day, Pings: 2, Sum: 12 * time.Millisecond, Max: 9 * time.Millisecond}) // twice at once
		for range 2 {
			if err := s.Count(ctx, all); err != nil {
				t.Fatal(err)
			}
		}
		days, err := s.Days(ctx, "space-0", day, day+1)
		if err != nil || len(days) != 1 {
			t.Fatalf("%v, %v", days, err)
		}
		if v := days[0]; v.Pings != 16 || v.Slow != 2 || v.Mean != 3*time.Millisecond || v.Max != 9*time.Millisecond || v.Spent != nil {
			t.Errorf("%+v", v)
		}
		sums, err := s.Spent(ctx, nil, start, start.Add(time.Hour))
		if err != nil || len(sums) != 1100 || sums["space-7"].Pings != 12 {
			t.Errorf("%d sums, %+v, %v", len(sums), sums["space-7"], err)
		}
	})
}

// Changes that seem older than the ones before them keep their order.
func TestTimesDoNotGoBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := open(t, d)
		save(t, s, change("space-1", monitor.Online, "", start))
		save(t, s, change("space-1", monitor.Offline, "", start.Add(-time.Hour)), change("space-1", monitor.Online, "", start.Add(-time.Hour)))
		history, err := s.History(t.Context(), "space-1", start.Add(-48*time.Hour), start.Add(time.Hour), 10)
		if err != nil || len(history) != 3 || history[0].Status != monitor.Online || history[1].Status != monitor.Offline || history[2].Status != monitor.Online {
			t.Errorf("%+v, %v", history, err)
		}
	})
}

func TestBallots(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s, _ := open(t, d)
		b := s.Ballots()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Beat(ctx, monitor.Member{Replica: "a", Beat: time.Now().UnixNano()}); err != nil {
			t.Fatal(err)
		}
		members, err := b.Beat(ctx, monitor.Member{Replica: "b", Beat: time.Now().UnixNano()})
		if err != nil || len(members) != 2 || members[0].Replica != "a" {
			t.Fatalf("%v, %v", members, err)
		}
		var questions []monitor.Question
		for i := range 45 {
			questions = append(questions, monitor.Question{ID: fmt.Sprintf("question-%02d", i), Asker: "a", Instance: "instance-1"})
		}
		must(b.Ask(ctx, questions))
		if open, err := b.Open(ctx, "a", 100); err != nil || len(open) != 0 {
			t.Errorf("one's own: %v, %v", open, err)
		}
		open, err := b.Open(ctx, "b", 100)
		if err != nil || len(open) != 45 || open[0].Instance != "instance-1" {
			t.Fatalf("%v, %v", open, err)
		}
		must(b.Answer(ctx, []monitor.Answer{{Question: "question-00", Replica: "b", Up: true}, {Question: "question-01", Replica: "b"}}))
		must(b.Answer(ctx, []monitor.Answer{{Question: "question-00", Replica: "b", Up: false}})) // the first one counts
		if open, err := b.Open(ctx, "b", 100); err != nil || len(open) != 43 {
			t.Errorf("%d open, %v", len(open), err)
		}
		answers, err := b.Answers(ctx, []string{"question-00", "question-01", "question-02"})
		if err != nil || len(answers) != 2 || !answers[0].Up || answers[1].Up {
			t.Errorf("%v, %v", answers, err)
		}
		must(b.Close(ctx, []string{"question-00", "question-01"}))
		if answers, err := b.Answers(ctx, []string{"question-00"}); err != nil || len(answers) != 0 {
			t.Errorf("closed: %v, %v", answers, err)
		}
		must(b.Leave(ctx, "a"))
		if members, err := b.Beat(ctx, monitor.Member{Replica: "b", Beat: time.Now().UnixNano()}); err != nil || len(members) != 1 {
			t.Errorf("%v, %v", members, err)
		}
	})
}
