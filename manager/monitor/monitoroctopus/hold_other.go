//go:build !linux

package monitoroctopus

import (
	"net"
	"sync"
)

// holder keeps connections open. Only Linux tells cheaply of idle ones that are closed; elsewhere the next ping finds out.
type holder struct {
	lost func(*line)
	once sync.Once
	done chan struct{}
}

func newHolder(lost func(*line)) (*holder, error) {
	return &holder{lost: lost, done: make(chan struct{})}, nil
}

func (*holder) add(*line, net.Conn) uint64 { return 0 }
func (*holder) remove(uint64)              {}

func (h *holder) run() error {
	<-h.done
	return nil
}

func (h *holder) stop() { h.once.Do(func() { close(h.done) }) }
