package reportsql

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"odcm/kit/db"
	"odcm/manager/report"
)

// total names a row of report_month, or of report_total where it has no dimension.
type total struct {
	dimension report.Dimension
	kind      report.Kind
	at        int64
	space, id string
	outcome   report.Outcome
}

func (a total) compare(b total) int {
	return cmp.Or(cmp.Compare(a.dimension, b.dimension), cmp.Compare(a.kind, b.kind), cmp.Compare(a.at, b.at), cmp.Compare(a.space, b.space), cmp.Compare(a.id, b.id), cmp.Compare(a.outcome, b.outcome))
}

// totals are what a commit changes in the sums that are kept beside the facts.
type totals map[total][2]int64 // how many, and milliseconds

// add counts a fact in, or out where n is -1.
func (t totals) add(k kept, n int64) {
	took := k.Took().Milliseconds()
	put := func(to total) {
		to.kind, to.outcome = k.Kind, k.Outcome
		t[to] = [2]int64{t[to][0] + n, t[to][1] + n*took}
	}
	put(total{at: k.at - k.at%quarter})
	begin := month(db.Time(k.at)).UnixMilli()
	for dimension, id := range map[report.Dimension]string{report.BySpace: "", report.ByProject: k.Project, report.ByEnvironment: k.Environment, report.ByTenant: k.Tenant} {
		put(total{dimension: dimension, at: begin, space: string(k.Space), id: id})
	}
}

// put writes the sums in one order, so that commits of several Spaces, which share some, never wait for each other in a circle.
func (t totals) put(ctx context.Context, tx *sql.Tx) error {
	maps.DeleteFunc(t, func(_ total, n [2]int64) bool { return n == [2]int64{} })
	keys := slices.SortedFunc(maps.Keys(t), total.compare)
	for len(keys) > 0 {
		whole := keys[0].dimension == ""
		n := slices.IndexFunc(keys, func(k total) bool { return (k.dimension == "") != whole })
		if n < 0 {
			n = len(keys)
		}
		n = min(n, chunk)
		table, names := "report_month", []string{"dimension", "kind", "at", "space_id", "id", "outcome"}
		if whole {
			table, names = "report_total", []string{"kind", "at", "outcome"}
		}
		var rows []string
		var args []any
		for _, k := range keys[:n] {
			first := len(args) + 1
			if whole {
				args = append(args, k.kind, k.at, k.outcome)
			} else {
				args = append(args, k.dimension, k.kind, k.at, k.space, k.id, k.outcome)
			}
			args = append(args, t[k][0], t[k][1])
			rows = append(rows, db.In(first, len(names)+2))
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`, n, took) VALUES `+strings.Join(rows, ", ")+
			` ON CONFLICT (`+strings.Join(names, ", ")+`) DO UPDATE SET n = `+table+`.n + excluded.n, took = `+table+`.took + excluded.took`, args...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
