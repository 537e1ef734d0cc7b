// Package upkeep reads what reports count in ODCM itself, sign-ins and requests, and sums up facts that are old.
package upkeep

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/manager/report"
)

// Meter tells what this replica asked of each server since it started, by address.
type Meter interface {
	Usage() map[string]report.Usage
}

// Events is ODCM's own log of events.
type Events interface {
	List(ctx context.Context, f eventlog.Filter) ([]odcm.Event, error)
}

// Leases give one replica the work that is done once.
type Leases interface {
	Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l lease.Lease) error) error
}

// Upkeep reads what is counted in ODCM itself, and sums up what is old.
type Upkeep struct {
	Keeper  report.Keeper
	Meter   Meter
	Events  Events
	Leases  Leases
	Replica string
	Keep    time.Duration // of single deployments; 400 days if zero
	Logger  *slog.Logger
	Now     func() time.Time
}

const (
	readEvery = time.Minute
	// lastly is how long the last reading may take when this replica stops.
	lastly   = 5 * time.Second
	signedIn = "identity.signed-in"
	// rollAtOnce is about how many facts are summed up at a time: people's requests come between.
	rollAtOnce = 2000
)

// Run works until ctx ends.
func (u Upkeep) Run(ctx context.Context) error {
	if u.Logger == nil {
		u.Logger = slog.Default()
	}
	if u.Now == nil {
		u.Now = time.Now
	}
	if u.Keep == 0 {
		u.Keep = 400 * 24 * time.Hour
	}
	led := make(chan error, 1)
	go func() {
		led <- u.Leases.Hold(ctx, "report-upkeep", u.Replica, 30*time.Second, func(ctx context.Context, _ lease.Lease) error { return u.lead(ctx) })
	}()
	was := map[string]report.Usage{}
	for {
		if err := pause(ctx, readEvery); err != nil {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastly)
			u.read(last, was)
			cancel()
			return <-led
		}
		u.read(ctx, was)
	}
}

// read keeps what was asked of servers since the last time.
func (u Upkeep) read(ctx context.Context, was map[string]report.Usage) {
	now, since := u.Meter.Usage(), map[string]report.Usage{}
	for server, used := range now {
		d := used.Sub(was[server])
		if used.Background < was[server].Background || used.People < was[server].People { // its budget was made anew
			d = used
		}
		if d != (report.Usage{}) {
			since[server] = d
		}
	}
	if err := u.Keeper.Read(ctx, u.Now(), since); err != nil {
		u.log(ctx, "keep what was asked of servers", err)
		return // counted the next time
	}
	clear(was)
	for server, used := range now {
		was[server] = used
	}
}

func (u Upkeep) log(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		u.Logger.Error(what, "error", err)
	}
}

// lead is the work of one replica at a time. It would do no harm on two.
func (u Upkeep) lead(ctx context.Context) error {
	for {
		u.log(ctx, "count sign-ins", u.CountSignIns(ctx))
		u.log(ctx, "sum up old deployments", u.RollUp(ctx))
		if err := pause(ctx, readEvery); err != nil {
			return err
		}
	}
}

// RollUp sums up everything that is older than is kept.
func (u Upkeep) RollUp(ctx context.Context) error {
	for {
		n, err := u.Keeper.RollUp(ctx, u.Now().Add(-u.Keep), rollAtOnce)
		if err != nil || n < rollAtOnce {
			return err
		}
	}
}

// CountSignIns counts the sign-ins since the last time. The events and how far they were read are committed together.
func (u Upkeep) CountSignIns(ctx context.Context) error {
	after, err := u.Keeper.SignInsAfter(ctx)
	if err != nil {
		return err
	}
	const atOnce = 500
	var all []report.SignIn
	newest := after
	for before := odcm.EventID(0); ; {
		page, err := u.Events.List(ctx, eventlog.Filter{Types: []string{signedIn}, Before: before, Limit: atOnce})
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.ID <= after {
				break
			}
			newest = max(newest, e.ID)
			all = append(all, report.SignIn{At: e.Time, User: e.Actor, Name: e.By, N: 1})
		}
		if len(page) < atOnce || page[len(page)-1].ID <= after {
			break
		}
		before = page[len(page)-1].ID
	}
	if newest == after {
		return nil
	}
	return u.Keeper.CountSignIns(ctx, after, newest, all)
}

// pause waits about the time, so that replicas do not work in step.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d - d/10 + rand.N(d/5+1)) // spreads load, keeps no secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
