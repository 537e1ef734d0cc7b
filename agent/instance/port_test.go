package instance

import (
	"net"
	"testing"
)

func TestPorts(t *testing.T) {
	t.Parallel()
	p := newPorts("127.0.0.1")
	a, err := p.take("a", 0, 0)
	if err != nil || a < firstPort || a > lastPort {
		t.Fatal(a, err)
	}
	t.Run("an instance keeps its own", func(t *testing.T) {
		if got, err := p.take("a", 0, a); err != nil || got != a {
			t.Errorf("%d, %v; want %d", got, err, a)
		}
	})
	t.Run("two instances do not share, though nobody listens yet", func(t *testing.T) {
		if b, err := p.take("b", 0, a); err != nil || b == a {
			t.Errorf("%d, %v", b, err)
		}
		if _, err := p.take("c", a, 0); err == nil {
			t.Error("a wanted port that another instance has was given")
		}
	})
	t.Run("one that was released is free", func(t *testing.T) {
		p.release("a")
		if got, err := p.take("c", a, 0); err != nil || got != a {
			t.Errorf("%d, %v", got, err)
		}
	})
	t.Run("one on which a stranger listens is not", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := p.take("d", l.Addr().(*net.TCPAddr).Port, 0); err == nil {
			t.Error("given")
		}
	})
}
