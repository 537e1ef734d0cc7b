package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
)

// storm measures what a password costs, and what eight people who sign in by theirs, over and over, leave of the speed at which
// another comes and goes by the session that he has. The control is the same manager without the eight.
func (b *bench) storm() error {
	r, err := b.provider("sqlite:"+filepath.Join(b.dir, "storm.db"), "ES256")
	if err != nil {
		return err
	}
	defer r.process.stop()
	if err := b.password(r); err != nil {
		return err
	}
	var rates, lasts [2][]float64
	for range b.rounds {
		for side, people := range []int{0, 8} {
			took, err := r.during(people, 3*time.Second)
			if err != nil {
				return err
			}
			slices.Sort(took)
			rates[side] = append(rates[side], float64(len(took))/3)
			lasts[side] = append(lasts[side], took[len(took)*99/100].Seconds()*1000)
		}
	}
	calm, stormy := median(rates[0]), median(rates[1])
	b.add(result{"Sign-on: sign-ins with a session, 8 people at their passwords", fmt.Sprintf("%.0f/s", calm), fmt.Sprintf("%.0f/s", stormy),
		stormy / calm, "≥ 0.5", stormy/calm >= 0.5})
	calm, stormy = median(lasts[0]), median(lasts[1])
	b.add(result{"Sign-on: the same, p99", fmt.Sprintf("%.1f ms", calm), fmt.Sprintf("%.1f ms", stormy), stormy / calm, "≤ 3", stormy/calm <= 3})
	return nil
}

// during signs in with the session for so long, while so many people use passwords, and returns how long each sign-in took.
func (r relying) during(people int, long time.Duration) (took []time.Duration, err error) {
	var wg sync.WaitGroup
	errs := make([]error, people)
	began := time.Now()
	for i := range people {
		wg.Go(func() {
			for errs[i] == nil && time.Since(began) < long {
				_, errs[i] = r.enter()
			}
		})
	}
	for err == nil && time.Since(began) < long {
		start := time.Now()
		_, err = r.signIn()
		took = append(took, time.Since(start))
	}
	wg.Wait()
	return took, errors.Join(err, errors.Join(errs...))
}

// password compares a whole sign-in by password with its hash alone, by the CPU that each takes.
func (b *bench) password(r relying) error {
	const times = 20
	bare, whole := make([]float64, b.rounds), make([]float64, b.rounds)
	for round := range b.rounds {
		before := ownCPU()
		for range times { // as the manager has it
			argon2.IDKey([]byte(benchPassword), make([]byte, 16), 2, 19*1024, 1, 32)
		}
		bare[round] = (ownCPU() - before).Seconds() * 1000 / times
		before = r.process.cpu()
		for range times {
			if _, err := r.enter(); err != nil {
				return err
			}
		}
		whole[round] = (r.process.cpu() - before).Seconds() * 1000 / times
	}
	c, o := median(bare), median(whole)
	b.add(result{"Sign-on: CPU of a sign-in by password (control: the hash)", fmt.Sprintf("%.1f ms", c), fmt.Sprintf("%.1f ms", o), o / c, "stated", true})
	return nil
}

// ownCPU is the time that this process spent on all cores.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
