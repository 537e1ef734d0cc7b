package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	firm "odcm/test/company"
)

// reports lets Spaces deploy by a script, half of it while ODCM is down, and holds every figure that it reports against what the
// Spaces count themselves. There is no control: equal is equal, and the bound of the requests is what is promised.
func (b *bench) reports(spaces, deployments int) (err error) {
	ctx, each := context.Background(), deployments/spaces
	dir, err := os.MkdirTemp(b.dir, "reports-")
	if err != nil {
		return err
	}
	c, err := firm.New(ctx, b.odcm, dir, spaces)
	if c != nil {
		defer c.Close()
	}
	if err != nil {
		return err
	}
	if err := errors.Join(c.Up(), c.Enlist(ctx), c.Deploy(ctx, each/2)); err != nil {
		return err
	}
	truth, err := c.Truth(ctx)
	if err != nil {
		return err
	}
	if _, err := catchesUp(ctx, c, truth); err != nil {
		return err
	}
	if err := errors.Join(c.Down(), c.Deploy(ctx, each-each/2)); err != nil {
		return err
	}
	if truth, err = c.Truth(ctx); err != nil {
		return err
	}
	if err := c.Up(); err != nil {
		return err
	}
	took, err := catchesUp(ctx, c, truth)
	if err != nil {
		return err
	}
	asked, refused, err := c.Asked(ctx)
	if err != nil {
		return err
	}
	var sum, most float64
	for _, n := range asked {
		sum, most = sum+n, max(most, n)
	}
	budget := firm.Affordable(each)
	what := fmt.Sprintf("Reports of %d Spaces with %d deployments, half of them while ODCM was down", spaces, spaces*each)
	b.add(result{what + ": requests of a server, the most", "-", fmt.Sprintf("%.0f", most), most / budget, fmt.Sprintf("≤ %.0f", budget), len(asked) == spaces && most <= budget && refused == 0})
	b.add(result{what + ": all figures equal the Spaces' own after the start", "-", fmt.Sprintf("%.1f s", took.Seconds()), took.Seconds() / 120, "≤ 120 s", took <= 2*time.Minute})
	b.say("%s: the figures of deployments by outcome, Space, project and environment, of runbook runs, projects and targets equal what the Spaces count. For that ODCM made %.0f requests, "+
		"%.1f of each Space and %.2f for each deployment; the servers refused %.0f. The budget allows 50 a second of each server.", what, sum, sum/float64(spaces), sum/float64(spaces*each), refused)
	return nil
}

// catchesUp waits until the figures are those of the Spaces, and says how long that took.
func catchesUp(ctx context.Context, c *firm.Company, truth map[string]firm.Figures) (time.Duration, error) {
	began := time.Now()
	err := firm.Wait(ctx, "the figures are those of the Spaces", 5*time.Minute, func() (string, error) {
		lacks, err := c.Differs(ctx, truth)
		if lacks != "" || err != nil {
			return lacks, err
		}
		return c.HeldDiffers(ctx)
	})
	return time.Since(began), err
}
