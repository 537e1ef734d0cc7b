package reconcile_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"odcm/kit/reconcile"
)

func Example() {
	desired, actual := map[string]string{"space-1": "Engineering"}, map[string]string{}
	done := make(chan struct{})
	rename := aspect{"name", func(_ context.Context, key string) error {
		if actual[key] != desired[key] {
			fmt.Printf("%s: %q becomes %q\n", key, actual[key], desired[key])
			actual[key] = desired[key]
		}
		close(done)
		return nil
	}}
	r := reconcile.New(reconcile.Options{Keys: keys("space-1")}, rename)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-done; cancel() }()
	fmt.Println(r.Run(ctx))
	// Output:
	// space-1: "" becomes "Engineering"
	// context canceled
}

func BenchmarkWake(b *testing.B) {
	var all []string
	for i := range 5000 {
		all = append(all, fmt.Sprint(i))
	}
	var runs atomic.Int64
	r := reconcile.New(reconcile.Options{Keys: keys(all...)}, aspect{"x", func(context.Context, string) error { runs.Add(1); return nil }})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	i := 0
	for b.Loop() {
		r.Wake(all[i%len(all)])
		i++
	}
	cancel()
	<-done
	b.ReportMetric(float64(runs.Load())/float64(b.N), "runs/wake")
}
