package instance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// ports gives each instance a port of its own. The range lies below what kernels take for outgoing connections (32768 and
// up), so that a port that an instance comes back to is seldom taken by a passer-by.
type ports struct {
	host string

	mu    sync.Mutex
	taken map[int]string // by instance
}

const firstPort, lastPort = 20000, 29999

func newPorts(host string) *ports { return &ports{host: host, taken: map[int]string{}} }

// take gives the wanted port, or else the one that the instance had, or else a free one. A wanted port that is taken is an
// error: somebody relies on it.
func (p *ports) take(instance string, wanted, had int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, owner := range p.taken {
		if owner == instance {
			delete(p.taken, port)
		}
	}
	if wanted != 0 {
		if !p.free(instance, wanted) {
			return 0, fmt.Errorf("port %d is taken by another process: end it, or launch the instance on another port", wanted)
		}
		p.taken[wanted] = instance
		return wanted, nil
	}
	if had != 0 && p.free(instance, had) {
		p.taken[had] = instance
		return had, nil
	}
	for range 1000 {
		port := firstPort + rand.N(lastPort-firstPort+1)
		if p.free(instance, port) {
			p.taken[port] = instance
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port was found from %d to %d: end what uses them", firstPort, lastPort)
}

// keep remembers the port of an instance that was found running.
func (p *ports) keep(instance string, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[port] = instance
}

func (p *ports) release(instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, owner := range p.taken {
		if owner == instance {
			delete(p.taken, port)
		}
	}
}

func (p *ports) free(instance string, port int) bool {
	if owner, ok := p.taken[port]; ok && owner != instance {
		return false
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(p.host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
