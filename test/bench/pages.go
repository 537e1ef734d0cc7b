package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pages measures what people see while everything is probed: the first page of the board, all statuses by the API, and one change
// on many open pages.
func (b *bench) pages(n, statuses, open int) error {
	const port = "18923"
	targets := exec.Command(b.control, "targets", port)
	ready, err := targets.StdoutPipe()
	if err != nil {
		return err
	}
	if err := targets.Start(); err != nil {
		return err
	}
	defer func() { _ = targets.Process.Kill(); _ = targets.Wait() }()
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	board, err := b.board(n, port)
	if err != nil {
		return err
	}
	defer board.stop()
	page, err := read(board.url+"/spaces?sort=name", "text/html") // on which the Space is that changes
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "page.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		return err
	}
	bare, err := start(b.dir, b.boards, "bare", file)
	if err != nil {
		return err
	}
	defer bare.stop()
	if err := b.firstPage(n, len(page), bare.url, board.url); err != nil {
		return err
	}
	if err := b.fanOut(open, page, bare.url, board.url); err != nil {
		return err
	}
	board.stop()
	if board, err = b.board(statuses, port); err != nil {
		return err
	}
	defer board.stop()
	return b.allStatuses(statuses, board.url)
}

// board starts ODCM's board on a database of its own and waits until all Spaces are online.
func (b *bench) board(n int, port string) (*process, error) {
	dir, err := os.MkdirTemp(b.dir, "board-")
	if err != nil {
		return nil, err
	}
	p, err := start(b.dir, b.boards, "odcm", dir, strconv.Itoa(n), port)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		body, err := read(p.url+"/api/v1/statuses", "")
		if err == nil && bytes.Count(body, []byte(`"status":"online"`)) == n {
			return p, nil
		}
		if time.Now().After(until) {
			p.stop()
			return nil, errors.Join(fmt.Errorf("not all of %d Spaces are online after two minutes", n), err)
		}
	}
}

func read(address, accept string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, res.Status)
	}
	return body, err
}

// quantile of the times, in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	slices.Sort(times)
	return float64(times[min(len(times)-1, int(float64(len(times))*q))].Microseconds()) / 1000
}

// firstPage lets two people at a time open the board, for as many pages as a p99 wants.
func (b *bench) firstPage(n, size int, control, odcm string) error {
	var p99 [2][]float64
	for range b.rounds {
		for side, address := range []string{control + "/", odcm + "/spaces"} {
			const people, views = 2, 200
			var mu sync.Mutex
			var times []time.Duration
			var failed error
			var wg sync.WaitGroup
			for range people {
				wg.Go(func() {
					for range views {
						began := time.Now()
						_, err := read(address, "text/html")
						mu.Lock()
						times, failed = append(times, time.Since(began)), errors.Join(failed, err)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			if failed != nil {
				return failed
			}
			p99[side] = append(p99[side], quantile(times, 0.99))
		}
	}
	c, o := median(p99[0]), median(p99[1])
	b.add(result{fmt.Sprintf("Board: first page (%d KiB), p99, %d Spaces while they are probed", size>>10, n), fmt.Sprintf("%.1f ms", c), fmt.Sprintf("%.1f ms", o),
		o / c, "< 50 ms", o < 50})
	return nil
}

// allStatuses asks for all after each change, so that nothing is sent that was there already; the control is the same bytes once more.
func (b *bench) allStatuses(n int, odcm string) error {
	var fresh, same []time.Duration
	ask := func(into *[]time.Duration) error {
		began := time.Now()
		_, err := read(odcm+"/api/v1/statuses", "")
		*into = append(*into, time.Since(began))
		return err
	}
	for range 20 * b.rounds {
		if _, err := change(odcm); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // the hint is heard
		for _, into := range []*[]time.Duration{&fresh, &same} {
			if err := ask(into); err != nil {
				return err
			}
		}
	}
	c, o := quantile(same, 0.5), quantile(fresh, 0.5)
	b.add(result{fmt.Sprintf("Board: all statuses of %d Spaces by the API, after a change", n), fmt.Sprintf("%.1f ms", c), fmt.Sprintf("%.1f ms", o), o / c, "≤ 5 ms", o <= 5})
	b.notes = append(b.notes, fmt.Sprintf("**Statuses**: the control is asking again when nothing has changed; p99 after a change is %.1f ms.", quantile(fresh, 0.99)))
	return nil
}

// change has something change and returns when that was.
func change(base string) (time.Time, error) {
	res, err := http.Post(base+"/change", "", nil)
	if err != nil {
		return time.Time{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return time.Time{}, err
	}
	at, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("change: %s", text)
	}
	return time.Unix(0, at), nil
}

// fanOut opens pages on both sides and measures from a change to the last byte at the last page.
func (b *bench) fanOut(open int, page []byte, control, odcm string) error {
	c, err := openPages(control+"/live", open)
	if err != nil {
		return err
	}
	defer c.close()
	o, err := openPages(odcm+"/live?"+topics(page), open)
	if err != nil {
		return err
	}
	defer o.close()
	var took [2][]float64
	for range 5 * b.rounds {
		for side, p := range []*openedPages{c, o} {
			at, err := change(map[int]string{0: control, 1: odcm}[side])
			if err != nil {
				return err
			}
			last, err := p.last()
			if err != nil {
				return err
			}
			took[side] = append(took[side], float64(last.Sub(at).Microseconds())/1000)
			time.Sleep(1100 * time.Millisecond) // counts are drawn again at most once a second: not into the next measurement
		}
	}
	ctl, ours := median(took[0]), median(took[1])
	b.add(result{fmt.Sprintf("Board: one change to the last byte on %d open pages", open), fmt.Sprintf("%.1f ms", ctl), fmt.Sprintf("%.1f ms", ours), ours / ctl, "≤ 1.5", ours/ctl <= 1.5})
	return nil
}

// topics are what the page listens to, as its script asks for them.
func topics(page []byte) string {
	q := url.Values{}
	for _, part := range strings.Split(string(page), `data-live="`)[1:] {
		topic, _, _ := strings.Cut(part, `"`)
		q.Add("topic", strings.ReplaceAll(topic, "&amp;", "&"))
	}
	_, rest, _ := strings.Cut(string(page), `data-since="`)
	since, _, _ := strings.Cut(rest, `"`)
	q.Set("since", since)
	return q.Encode()
}

// openedPages are streams; each tells when it has the change that is waited for.
type openedPages struct {
	bodies []io.Closer
	got    chan time.Time
	wg     sync.WaitGroup
}

func openPages(address string, n int) (*openedPages, error) {
	p := &openedPages{got: make(chan time.Time, n)}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for range n {
		res, err := client.Get(address)
		if err != nil {
			return p, err
		}
		if res.StatusCode != http.StatusOK {
			return p, fmt.Errorf("%.100s: %s", address, res.Status)
		}
		p.bodies = append(p.bodies, res.Body)
		p.wg.Go(func() {
			lines := bufio.NewReaderSize(res.Body, 4<<10)
			changed := false
			for {
				line, err := lines.ReadSlice('\n')
				if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
					return
				}
				changed = changed || bytes.Contains(line, []byte("change-")) && bytes.HasPrefix(line, []byte("data: ")) && !bytes.Contains(line, []byte("tally"))
				if changed && len(line) == 1 { // the end of the event
					changed = false
					p.got <- time.Now()
				}
			}
		})
	}
	return p, nil
}

// last is when the last page had the change.
func (p *openedPages) last() (last time.Time, err error) {
	for i := range p.bodies {
		select {
		case at := <-p.got:
			if at.After(last) {
				last = at
			}
		case <-time.After(10 * time.Second):
			return last, fmt.Errorf("%d of %d pages got the change", i, len(p.bodies))
		}
	}
	return last, nil
}

func (p *openedPages) close() {
	for _, b := range p.bodies {
		_ = b.Close()
	}
	p.wg.Wait()
}
