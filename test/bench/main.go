// Command bench measures ODCM against controls that run in turn in the same minutes on the same machine, and writes
// docs/benchmarks.md. Ratios are what counts; absolute figures move with the machine.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is one row of the table.
type result struct {
	what    string
	control string
	odcm    string
	ratio   float64
	goal    string
	holds   bool
}

type bench struct {
	dir                  string // scratch
	odcm, control, watch string // binaries
	boards               string // likewise
	rounds               int
	results              []result
	notes                []string
}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 7, "how often each side is measured; medians count")
	only := flag.String("only", "", "run only the measurements whose name contains this")
	out := flag.String("out", "docs/benchmarks.md", "where the report goes")
	probes := flag.Int("probe-seconds", 40, "how long probing is measured")
	deployments := flag.Int("deployments", 300, "how many deployments a round has")
	tasks := flag.Int("tasks", 100_000, "after how many tasks memory is measured")
	many := flag.Int("many", 200, "how many Space servers run at once")
	if err := flag.CommandLine.Parse(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
	if len(flag.Args()) > 0 {
		log.Fatalf("unknown argument %q", flag.Arg(0))
	}
	b := &bench{rounds: *rounds}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"build", b.build},
		{"start and memory", b.startAndMemory},
		{"reads and writes", b.readsAndWrites},
		{"deployments", func() error { return b.deployments(*deployments) }},
		{"tasks", func() error { return b.memoryAfter(*tasks) }},
		{"probes", func() error { return b.probes(10_000, *probes) }},
		{"monitor", func() error { return b.monitor(10_000) }},
		{"many", func() error { return b.many(*many) }},
		{"pages", func() error { return b.pages(10_000, 5_000, 1_000) }},
		{"reports", func() error { return b.reports(20, 5_000) }},
		{"sso", b.sso},
		{"sso storm", b.storm},
		{"push", func() error { return b.push(2000, 300, 200) }},
		{"access", func() error { return b.access(10_000, 1_000, 1_000) }},
	} {
		if step.name != "build" && !strings.Contains(step.name, *only) {
			continue
		}
		log.Printf("== %s", step.name)
		if err := step.run(); err != nil {
			log.Fatalf("%s: %v", step.name, err)
		}
	}
	defer os.RemoveAll(b.dir)
	if *only == "" {
		if err := os.WriteFile(*out, []byte(b.report()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Print(b.report())
	for _, r := range b.results {
		if !r.holds {
			log.Fatalf("missed: %s: %s, goal %s", r.what, ratio(r.ratio), r.goal)
		}
	}
}

// build makes the binaries as they would be shipped.
func (b *bench) build() (err error) {
	if b.dir, err = os.MkdirTemp("", "odcm-bench-"); err != nil {
		return err
	}
	b.odcm, b.control, b.watch = filepath.Join(b.dir, "odcm"), filepath.Join(b.dir, "control"), filepath.Join(b.dir, "watch")
	b.boards = filepath.Join(b.dir, "board")
	for out, pkg := range map[string]string{
		b.odcm: "./cmd/odcm", b.control: "./test/bench/control", b.watch: "./test/bench/watch", b.boards: "./test/bench/board",
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", pkg, err, msg)
		}
	}
	return nil
}

func (b *bench) add(r result) {
	b.results = append(b.results, r)
	log.Printf("%-50s control %-14s odcm %-14s %s (goal %s)", r.what, r.control, r.odcm, ratio(r.ratio), r.goal)
}

func (b *bench) report() string {
	var s strings.Builder
	fmt.Fprintf(&s, `# Benchmarks

Written by `+"`make bench`"+`. Each figure is the median of %d rounds (half as many for the monitor) in which ODCM and a control took turns. A control is a bare
program that does only the unavoidable work ([test/bench/control](../test/bench/control/main.go)); the ratio to it is what
counts, because absolute figures move with the machine.

%s, %d cores, %s, %s.

| what | control | ODCM | ratio | goal | |
|---|--:|--:|--:|--:|---|
`, b.rounds, runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format("2 January 2006"))
	for _, r := range b.results {
		mark := "holds"
		if !r.holds {
			mark = "**missed**"
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.control, r.odcm, ratio(r.ratio), r.goal, mark)
	}
	for _, n := range b.notes {
		fmt.Fprintf(&s, "\n%s\n", n)
	}
	return s.String()
}

func ratio(r float64) string { return fmt.Sprintf("%.2f", r) }

func median(values []float64) float64 {
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
