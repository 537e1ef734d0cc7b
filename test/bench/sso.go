package main

import (
	"fmt"
	"log"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// sso measures sign-ins with a session present, refreshes, and the documents that everyone fetches. What is spent is durable on
// both sides, in a database of the same kind.
func (b *bench) sso() error {
	databases := []struct {
		name string
		url  func(name string) (string, error)
	}{{"SQLite", func(name string) (string, error) { return "sqlite:" + filepath.Join(b.dir, name+".db"), nil }}}
	postgres, err := startPostgres()
	if err != nil {
		b.notes = append(b.notes, "Sign-ins on PostgreSQL were not measured: "+err.Error()+".")
	} else {
		defer postgres.stop()
		databases = append(databases, struct {
			name string
			url  func(name string) (string, error)
		}{"PostgreSQL", postgres.create})
	}
	for _, d := range databases {
		for _, alg := range []struct {
			name string
			goal float64
		}{{"ES256", 0.6}, {"RS256", 0.8}} {
			control, err := d.url("control_" + alg.name)
			if err != nil {
				return err
			}
			odcm, err := d.url("odcm_" + alg.name)
			if err == nil {
				err = b.signIns(d.name, [2]string{control, odcm}, alg.name, alg.goal)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", d.name, alg.name, err)
			}
		}
	}
	return nil
}

// signIns measures the control and ODCM in turn, with a database each.
func (b *bench) signIns(name string, databases [2]string, alg string, goal float64) error {
	c, err := start(b.dir, b.control, "sso", alg, databases[0])
	if err != nil {
		return err
	}
	defer c.stop()
	control := relying{c.url, "client", "secret", "https://rp.example/back", "session=1", c}
	odcm, err := b.provider(databases[1], alg)
	if err != nil {
		return err
	}
	defer odcm.process.stop()
	kinds := []struct {
		what string
		goal float64
		work func(relying) func(kept *string) error
	}{
		{"sign-ins with a session, " + alg, goal, func(r relying) func(*string) error {
			return func(*string) error { _, err := r.signIn(); return err }
		}},
		{"refreshes, " + alg, goal, func(r relying) func(*string) error { return r.refresh }},
		{"metadata and keys", 0.9, func(r relying) func(*string) error {
			return func(*string) error { return r.documents() }
		}},
	}
	if alg != "ES256" { // documents are the same
		kinds = kinds[:2]
	}
	rates, spent := make([][2][]float64, len(kinds)), make([][2][]float64, len(kinds))
	for range b.rounds {
		for i, kind := range kinds {
			for side, r := range []relying{control, odcm} {
				before := r.process.cpu()
				const long = 2 * time.Second
				calls, err := callsIn(long, kind.work(r))
				if err != nil {
					return err
				}
				rates[i][side] = append(rates[i][side], calls/long.Seconds())
				spent[i][side] = append(spent[i][side], (r.process.cpu()-before).Seconds()*1000/calls)
			}
		}
	}
	for i, kind := range kinds {
		c, o := median(rates[i][0]), median(rates[i][1])
		b.add(result{"Sign-on: " + kind.what + ", " + name, fmt.Sprintf("%.0f/s", c), fmt.Sprintf("%.0f/s", o), o / c, fmt.Sprintf("≥ %.1f", kind.goal), o/c >= kind.goal})
		log.Printf("  of CPU each: control %.3f ms, odcm %.3f ms", median(spent[i][0]), median(spent[i][1]))
	}
	return nil
}

// callsIn calls f from 32 workers: as many people arrive at once, and commits are grouped. What a worker keeps is its own.
func callsIn(d time.Duration, f func(kept *string) error) (float64, error) {
	var calls atomic.Int64
	var wg sync.WaitGroup
	const workers = 32
	errs := make(chan error, workers)
	began := time.Now()
	for range workers {
		wg.Go(func() {
			var kept string
			for time.Since(began) < d {
				if err := f(&kept); err != nil {
					errs <- err
					return
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(calls.Load()), nil
	}
}
