package task

import "context"

// Sweep is what happens hourly.
func (e *Engine) Sweep(ctx context.Context) error { return e.sweep(ctx) }
