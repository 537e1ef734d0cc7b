package monitoroctopus

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// holder hears of connections that the other side closes. One epoll holds them all, so that an idle connection needs neither a
// goroutine nor a buffer; it asks for nothing but the end of a stream, so that answers do not wake it.
type holder struct {
	lost func(*line)
	file *os.File // of the epoll, which is itself waited for as Go waits for any

	mu    sync.Mutex
	lines map[uint64]*line
	last  uint64
}

func newHolder(lost func(*line)) (*holder, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	return &holder{lost: lost, file: os.NewFile(uintptr(fd), "epoll"), lines: map[uint64]*line{}}, nil
}

// add holds a connection, and returns by what name to remove it. A connection that cannot be held is noticed by the next ping.
func (h *holder) add(l *line, conn net.Conn) uint64 {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0
	}
	h.mu.Lock()
	h.last++
	token := h.last
	h.lines[token] = l
	h.mu.Unlock()
	err = h.control(func(epoll int) error {
		var added error
		err := control.Control(func(fd uintptr) {
			added = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{
				Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(token), Pad: int32(token >> 32)})
		})
		return errors.Join(err, added)
	})
	if err != nil {
		h.remove(token)
		return 0
	}
	return token
}

func (h *holder) control(f func(epoll int) error) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}

// remove forgets a connection that is about to be closed; closing takes it out of the epoll.
func (h *holder) remove(token uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.lines, token)
}

// run tells of lost connections until stop.
func (h *holder) run() error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events, 0)
			return n > 0 || failed != nil && !errors.Is(failed, unix.EINTR)
		})
		if err != nil || failed != nil {
			return errors.Join(err, failed)
		}
		for _, e := range events[:n] {
			token := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			h.mu.Lock()
			l := h.lines[token]
			h.mu.Unlock()
			if l != nil {
				h.lost(l)
			}
		}
	}
}

// stop ends run.
func (h *holder) stop() { h.file.Close() }
