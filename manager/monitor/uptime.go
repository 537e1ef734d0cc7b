package monitor

import (
	"context"
	"time"

	"odcm"
)

// Day counts the days since 1970, in UTC.
type Day int64

const dayLength = 24 * time.Hour

// DayAt is the day of a time.
func DayAt(t time.Time) Day {
	ms := t.UnixMilli()
	if ms < 0 {
		ms -= dayLength.Milliseconds() - 1
	}
	return Day(ms / dayLength.Milliseconds())
}

// Begin is when the day begins.
func (d Day) Begin() time.Time { return time.UnixMilli(int64(d) * dayLength.Milliseconds()).UTC() }

// Spent is the time in each status. What is missing was not watched.
type Spent map[Status]time.Duration

// Add adds the time from one moment to another, where that is not empty.
func (s Spent) Add(status Status, from, to time.Time) {
	if to.After(from) && status != Unknown {
		s[status] += to.Sub(from)
	}
}

// Watched is the time in which somebody watched.
func (s Spent) Watched() (all time.Duration) {
	for status, d := range s {
		if status != Unknown {
			all += d
		}
	}
	return all
}

// Up is the time in which the server answered. Maintenance and draining are not outages.
func (s Spent) Up() (up time.Duration) {
	for status, d := range s {
		if status.Up() {
			up += d
		}
	}
	return up
}

// Uptime is how a Space was doing over a time, in sum.
type Uptime struct {
	From, To time.Time
	Spent    Spent
	// Of pings that were answered: how many, how many of them slowly, and how long answers took. They are counted by day.
	Pings, Slow int64
	Mean, Max   time.Duration
}

// Part is the part of the watched time in which the server answered, 0 to 1; 0 where nobody watched.
func (u Uptime) Part() float64 {
	watched := u.Spent.Watched()
	if watched == 0 {
		return 0
	}
	return float64(u.Spent.Up()) / float64(watched)
}

// DayOf is a Space's day, for graphs.
type DayOf struct {
	Day         Day
	Spent       Spent
	Pings, Slow int64
	Mean, Max   time.Duration
}

// Uptime sums up how the Space that ref names was doing; to is at most now.
func (s *Service) Uptime(ctx context.Context, p odcm.Principal, ref string, from, to time.Time) (_ Uptime, err error) {
	defer odcm.Wrap(&err, "uptime of %s", ref)
	space, from, to, err := s.period(ctx, p, ref, from, to)
	if err != nil {
		return Uptime{}, err
	}
	all, err := s.o.Store.Spent(ctx, []odcm.SpaceID{space}, from, to)
	if err != nil {
		return Uptime{}, err
	}
	if u, ok := all[space]; ok {
		return u, nil
	}
	return Uptime{From: from, To: to, Spent: Spent{}}, nil
}

// Uptimes sums up every Space that the principal may see. Spaces that nobody watched in that time are left out.
func (s *Service) Uptimes(ctx context.Context, p odcm.Principal, from, to time.Time) (_ map[odcm.SpaceID]Uptime, err error) {
	defer odcm.Wrap(&err, "uptimes")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	from, to, err = s.bounds(from, to)
	if err != nil {
		return nil, err
	}
	all, these, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return nil, err
	}
	if !all && len(these) == 0 {
		return map[odcm.SpaceID]Uptime{}, nil
	}
	if all {
		these = nil
	}
	return s.o.Store.Spent(ctx, these, from, to)
}

// Days returns a Space's days from one to another, which is not included, for a graph of up to a year and more.
func (s *Service) Days(ctx context.Context, p odcm.Principal, ref string, from, to time.Time) (_ []DayOf, err error) {
	defer odcm.Wrap(&err, "days of %s", ref)
	space, from, to, err := s.period(ctx, p, ref, from, to)
	if err != nil {
		return nil, err
	}
	days, err := s.o.Store.Days(ctx, space, DayAt(from), DayAt(to.Add(dayLength-1)))
	if err != nil {
		return nil, err
	}
	if last := DayAt(to.Add(-1)); len(days) == 0 || days[len(days)-1].Day < last {
		days = append(days, DayOf{Day: last}) // nothing was counted on it yet
	}
	for i, d := range days { // days that are not over yet, or not rolled up
		if d.Spent != nil {
			continue
		}
		until := (d.Day + 1).Begin()
		if to.Before(until) {
			until = to
		}
		sum, err := s.o.Store.Spent(ctx, []odcm.SpaceID{space}, d.Day.Begin(), until)
		if err != nil {
			return nil, err
		}
		days[i].Spent = sum[space].Spent
	}
	return days, nil
}

// period authorises a look at the Space's past and finds what is asked for.
func (s *Service) period(ctx context.Context, p odcm.Principal, ref string, from, to time.Time) (odcm.SpaceID, time.Time, time.Time, error) {
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ref); err != nil {
		return "", from, to, err
	}
	space, err := s.o.Access.Find(ctx, p, ref)
	if err != nil {
		return "", from, to, err
	}
	from, to, err = s.bounds(from, to)
	return space, from, to, err
}

// bounds checks a time frame; to is at most now.
func (s *Service) bounds(from, to time.Time) (time.Time, time.Time, error) {
	if now := s.now(); to.IsZero() || to.After(now) {
		to = now
	}
	if !from.Before(to) || to.Sub(from) > maxHistory {
		return from, to, odcm.E(odcm.Invalid, "monitor.period-invalid", "Ask for a time that begins before it ends, and for at most 400 days.").OnField("from")
	}
	return from, to, nil
}

// Times of the roll-up: a day is summed up when writes of its last moments have surely come, and not right after a start,
// when times in which nobody watched are still being written.
const (
	rollAfter      = time.Hour
	rollAfterStart = 10 * time.Minute
	keepDays       = 3 * 366
)

// rollUp sums up the days that are over, and deletes what is old enough, on the replica that owns the task.
func (s *Service) rollUp(ctx context.Context) error {
	next, oldest, some, err := s.o.Store.Rolled(ctx)
	if err != nil {
		return err
	}
	today := DayAt(s.now().Add(-rollAfter))
	if some {
		for day := max(next, oldest); day < today; day++ {
			if err := s.o.Store.RollUp(ctx, day); err != nil {
				return err
			}
		}
	}
	return s.o.Store.Prune(ctx, s.now().Add(-s.o.Retention), today-keepDays)
}
