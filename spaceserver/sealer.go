package spaceserver

import (
	"sync"

	"odcm/kit/seal"
)

// lateSealer makes or reads the key when the first secret needs it: most Space servers of a fleet start without one.
type lateSealer struct {
	open func() (*seal.Sealer, error)

	mu     sync.Mutex
	sealer *seal.Sealer
}

// Ready opens the key where that was not done yet.
func (l *lateSealer) Ready() error {
	_, err := l.get()
	return err
}

func (l *lateSealer) get() (*seal.Sealer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealer != nil {
		return l.sealer, nil
	}
	var err error
	l.sealer, err = l.open()
	return l.sealer, err
}

func (l *lateSealer) Seal(plain []byte, associated string) (string, error) {
	sealer, err := l.get()
	if err != nil {
		return "", err
	}
	return sealer.Seal(plain, associated)
}

func (l *lateSealer) Open(sealed, associated string) ([]byte, error) {
	sealer, err := l.get()
	if err != nil {
		return nil, err
	}
	return sealer.Open(sealed, associated)
}
