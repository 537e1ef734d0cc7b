package host

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// mostRecent bounds how many log messages are kept for /api/serverstatus/logs.
const mostRecent = 100

// Recent keeps the last warnings and errors that the server logged, beside handing everything on.
type Recent struct {
	next slog.Handler
	kept *recent
	with []slog.Attr
}

type recent struct {
	mu  sync.Mutex
	all []Message // the oldest first
}

// Message is a log message as it is answered (ActivityLogElement).
type Message struct {
	Category    string
	OccurredAt  time.Time
	MessageText string
	Detail      string
}

// NewRecent makes a handler in front of another.
func NewRecent(next slog.Handler) *Recent { return &Recent{next: next, kept: &recent{}} }

// Messages are the messages, the newest first.
func (r *Recent) Messages() []Message {
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	all := make([]Message, 0, len(r.kept.all))
	for i := len(r.kept.all) - 1; i >= 0; i-- {
		all = append(all, r.kept.all[i])
	}
	return all
}

// Enabled implements [slog.Handler].
func (r *Recent) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || r.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (r *Recent) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelWarn {
		var detail strings.Builder
		write := func(a slog.Attr) bool {
			detail.WriteString(a.Key + "=" + a.Value.String() + " ")
			return detail.Len() < 2000
		}
		for _, a := range r.with {
			write(a)
		}
		record.Attrs(write)
		category := "Warning"
		if record.Level >= slog.LevelError {
			category = "Error"
		}
		r.kept.mu.Lock()
		r.kept.all = append(r.kept.all, Message{category, record.Time.UTC(), record.Message, strings.TrimSpace(detail.String())})
		if len(r.kept.all) > mostRecent {
			r.kept.all = append(r.kept.all[:0], r.kept.all[1:]...)
		}
		r.kept.mu.Unlock()
	}
	if !r.next.Enabled(ctx, record.Level) {
		return nil
	}
	return r.next.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (r *Recent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Recent{r.next.WithAttrs(attrs), r.kept, append(append([]slog.Attr(nil), r.with...), attrs...)}
}

// WithGroup implements [slog.Handler].
func (r *Recent) WithGroup(name string) slog.Handler {
	return &Recent{r.next.WithGroup(name), r.kept, r.with}
}
