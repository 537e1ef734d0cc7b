package oidc

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"odcm/manager/identity/oidc/wire"
)

// How long what a provider publishes is kept, and how often it is asked.
const (
	keptFor     = time.Hour       // then it is read again, by whoever needs it next
	staleFor    = 24 * time.Hour  // so long it serves where the provider does not answer
	renewEvery  = time.Minute     // that something is missing from it is a reason to read it again only so often
	retryEvery  = 5 * time.Second // a failure is repeated to everybody for so long
	fetchWithin = 8 * time.Second // all tries of one reading
	patience    = time.Second     // for it, where something old is at hand
)

// cached keeps one thing that a provider publishes. However many ask at once, it is read once.
type cached[T any] struct {
	fetch func(context.Context) (T, error)
	now   func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	value  T
	read   time.Time // when value was; zero: never
	tried  time.Time
	err    error // of the last try
}

// get returns the thing, at most keptFor old, or staleFor where it cannot be read.
func (c *cached[T]) get(ctx context.Context) (T, error) {
	c.mu.Lock()
	value, read, tried, err := c.value, c.read, c.tried, c.err
	c.mu.Unlock()
	age := c.now().Sub(read)
	switch {
	case !read.IsZero() && age < keptFor:
		return value, nil
	case err != nil && c.now().Sub(tried) < retryEvery: // asked just now
	default:
		if !read.IsZero() && age < staleFor { // there is something to serve: nobody waits long for something newer
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, patience)
			defer cancel()
		}
		var renewed T
		if renewed, err = c.renewed(ctx); err == nil {
			return renewed, nil
		}
	}
	if !read.IsZero() && age < staleFor {
		return value, nil
	}
	return *new(T), err
}

// renew reads the thing again where that was not done within renewEvery.
func (c *cached[T]) renew(ctx context.Context) (T, error) {
	c.mu.Lock()
	value, recent := c.value, c.now().Sub(c.tried) < renewEvery
	c.mu.Unlock()
	if recent {
		return value, nil
	}
	return c.renewed(ctx)
}

// renewed is not bound to the one who asks: others wait for the same answer.
func (c *cached[T]) renewed(ctx context.Context) (T, error) {
	done := c.flight.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchWithin)
		defer cancel()
		value, err := c.fetch(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tried, c.err = c.now(), err
		if err == nil {
			c.value, c.read = value, c.tried
		}
		return value, err
	})
	select {
	case <-ctx.Done():
		return *new(T), wire.Unreachable(ctx.Err())
	case r := <-done:
		value, _ := r.Val.(T)
		return value, r.Err
	}
}
