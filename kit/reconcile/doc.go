// Package reconcile brings things to their desired state and keeps them there: one worker per key at a time, on the replica
// that owns the key.
//
// A key names a thing ("space-0198…"); an [Aspect] is one side of it (its registration, its certificate). Aspects are
// level-based: they read what is desired and what is, and write the difference, so a lost hint or a run too many does no
// harm. A key runs when it is first seen, when it is woken, when an aspect of it failed (with exponential backoff and
// jitter, each aspect by itself), and now and then because the world drifts. A key that is woken while it runs runs exactly
// once more. When the key is no longer owned the context of its run ends.
package reconcile
