package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// bare does only what cannot be left out: it sends bytes that are there already.
func bare(file string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s := &streams{open: map[chan []byte]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /live", s.serve)
	mux.HandleFunc("POST /change", s.change)
	return listen(mux)
}

// streams are open pages, each with a channel.
type streams struct {
	mu    sync.Mutex
	open  map[chan []byte]bool
	times atomic.Int64
}

func (s *streams) serve(w http.ResponseWriter, r *http.Request) {
	frames := make(chan []byte, 16)
	s.mu.Lock()
	s.open[frames] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, frames)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	c := http.NewResponseController(w)
	_ = c.Flush()
	for {
		select {
		case frame := <-frames:
			if _, err := w.Write(frame); err != nil || c.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// frameSize is about what a tile has, with the event around it.
const frameSize = 900

func (s *streams) change(w http.ResponseWriter, _ *http.Request) {
	frame := append([]byte(fmt.Sprintf("event: swap\ndata: change-%d.", s.times.Add(1))), bytes.Repeat([]byte("x"), frameSize)...)
	frame = append(frame, "\n\n"...)
	at := time.Now()
	s.mu.Lock()
	for frames := range s.open {
		frames <- frame
	}
	s.mu.Unlock()
	fmt.Fprint(w, at.UnixNano())
}
