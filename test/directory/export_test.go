package directory

import (
	"strconv"
	"strings"
)

// Abandon gives the domain's address back and lets the controller run on, as when a test is killed.
func Abandon(d *Domain) error {
	d.closed = true
	return d.lock.Close()
}

// Reclaim takes the address as the next test does, unless another process was faster, which has ended the controller then.
func Reclaim(d *Domain) error {
	n, err := strconv.Atoi(d.Address[strings.LastIndexByte(d.Address, '.')+1:])
	if err != nil {
		return err
	}
	next, err := claim(n)
	if err != nil || next == nil {
		return err
	}
	return next.Close()
}
