package queue

import (
	"context"
	"log/slog"
)

// quiet turns DBOS's log down: what it calls an error is a warning to us, because each is tried again or comes back as an
// error of ours; the rest is for debugging.
type quiet struct{ to slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool { return q.to.Enabled(ctx, quieter(l)) }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	quieted := slog.NewRecord(r.Time, quieter(r.Level), "dbos: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool { quieted.AddAttrs(a); return true })
	return q.to.Handle(ctx, quieted)
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.to.WithAttrs(as)} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.to.WithGroup(name)} }

func quieter(l slog.Level) slog.Level {
	if l >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
