package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Change is that a server began to act in another way.
type Change struct {
	Time      time.Time `json:"time"`
	Server    int       `json:"server"`
	Behaviour Behaviour `json:"behaviour"`
}

// maxChanges bounds what is remembered of changes; the oldest go first.
const maxChanges = 100_000

// controls is how the servers are told what to do, by anything that speaks HTTP:
//
//	GET    /urls                                       the addresses, one a line
//	GET    /servers/{number}                           how one acts
//	PUT    /servers/{number}/behaviour/{behaviour}     how one acts from now on
//	PUT    /servers/behaviour/{behaviour}?count=200    how so many act, chosen at random; all without count
//	PUT    /flapping?count=200&every=5s                so many are killed and mended at random
//	DELETE /flapping                                   that ends, and all are well
//	GET    /changes                                    what happened when: the truth to compare with
func (s *Simulator) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /urls", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = s.WriteURLs(w) // the client is gone if it fails
	})
	mux.HandleFunc("GET /servers/{number}", func(w http.ResponseWriter, r *http.Request) {
		if v, ok := s.numbered(w, r); ok {
			tell(w, map[string]any{"server": v.number, "url": v.url, "behaviour": v.behaviour()})
		}
	})
	mux.HandleFunc("PUT /servers/{number}/behaviour/{behaviour}", func(w http.ResponseWriter, r *http.Request) {
		v, ok := s.numbered(w, r)
		if b, known := behaviourOf(w, r); ok && known {
			s.Act(b, v.number)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("PUT /servers/behaviour/{behaviour}", func(w http.ResponseWriter, r *http.Request) {
		b, known := behaviourOf(w, r)
		n, ok := s.count(w, r)
		if known && ok {
			s.Act(b, s.choose(n)...)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("PUT /flapping", func(w http.ResponseWriter, r *http.Request) {
		every, err := time.ParseDuration(r.FormValue("every"))
		if r.FormValue("every") == "" {
			every, err = 5*time.Second, nil
		}
		if err != nil || every < 100*time.Millisecond {
			http.Error(w, "every: give a duration of at least 100ms", http.StatusBadRequest)
			return
		}
		if n, ok := s.count(w, r); ok {
			s.flap(n, every)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("DELETE /flapping", func(w http.ResponseWriter, _ *http.Request) {
		s.calm()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /changes", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		all := slices.Clone(s.changes)
		s.mu.Unlock()
		tell(w, all)
	})
	return mux
}

func tell(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if it fails
}

func (s *Simulator) numbered(w http.ResponseWriter, r *http.Request) (*server, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(s.servers) {
		http.Error(w, fmt.Sprintf("there are servers 1 to %d", len(s.servers)), http.StatusNotFound)
		return nil, false
	}
	return s.servers[n-1], true
}

func behaviourOf(w http.ResponseWriter, r *http.Request) (Behaviour, bool) {
	b := Behaviour(r.PathValue("behaviour"))
	if !slices.Contains(behaviours, b) {
		http.Error(w, fmt.Sprintf("behaviours are %v", behaviours), http.StatusBadRequest)
		return "", false
	}
	return b, true
}

// count reads how many are meant; all where nothing is said.
func (s *Simulator) count(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.FormValue("count")
	if text == "" {
		return len(s.servers), true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > len(s.servers) {
		http.Error(w, fmt.Sprintf("count: give a number from 1 to %d", len(s.servers)), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

// choose names n servers: the same for the same seed and n.
func (s *Simulator) choose(n int) []int {
	chosen := rand.New(rand.NewPCG(s.o.Seed, uint64(n))).Perm(len(s.servers))[:n]
	for i := range chosen {
		chosen[i]++
	}
	return chosen
}

// Act lets the servers act so from now on.
func (s *Simulator) Act(b Behaviour, numbers ...int) {
	for _, n := range numbers {
		s.mu.Lock()
		if s.servers[n-1].act(b) {
			if len(s.changes) >= maxChanges {
				s.changes = slices.Delete(s.changes, 0, maxChanges/10)
			}
			s.changes = append(s.changes, Change{time.Now().UTC(), n, b})
		}
		s.mu.Unlock()
	}
}

// flap kills and mends n servers at random, each on average once in the time.
func (s *Simulator) flap(n int, every time.Duration) {
	s.calm()
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	s.flapping = cancel
	s.mu.Unlock()
	chosen := s.choose(n)
	dice := rand.New(rand.NewPCG(s.o.Seed, uint64(every)))
	s.work.Go(func() {
		for ctx.Err() == nil {
			v := s.servers[chosen[dice.IntN(n)]-1]
			next := Kill
			if v.behaviour() == Kill {
				next = Well
			}
			s.Act(next, v.number)
			if !s.wait(every/time.Duration(n) + 1) {
				return
			}
		}
	})
}

// calm ends the flapping and mends all.
func (s *Simulator) calm() {
	s.mu.Lock()
	stop := s.flapping
	s.flapping = nil
	s.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	for _, v := range s.servers {
		if v.behaviour() == Kill {
			s.Act(Well, v.number)
		}
	}
}
