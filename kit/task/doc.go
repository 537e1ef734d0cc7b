// Package task runs what takes long: durable tasks with named steps, progress, a log, cancel, and resume on another
// replica after a crash.
//
// A room registers a kind once, before [Engine.Start]:
//
//	tasks.Register("space.enlist", func(r *task.Run) error {
//		var in enlistment
//		if err := r.Input(&in); err != nil {
//			return err
//		}
//		plan, err := task.Step(r, "plan", func(ctx context.Context) (Plan, error) { return s.plan(ctx, in.Space) })
//		if err != nil {
//			return err
//		}
//		r.Progress(30, "applying the plan")
//		if _, err = task.Step(r, "apply", func(ctx context.Context) (Applied, error) { return s.apply(ctx, plan) }); err != nil {
//			_, undoErr := task.Undo(r, "restore", func(ctx context.Context) (struct{}, error) { return struct{}{}, s.restore(ctx, plan) })
//			return errors.Join(err, undoErr)
//		}
//		return nil
//	})
//
// and submits tasks in the transaction of its own change, with [Engine.Submit].
//
// # What a handler must keep to
//
// The result or the error of a step is stored when the step ends. After a crash the handler runs again from its top, on
// any replica; steps that ended return what they stored, and the first that did not end runs (again). Therefore:
//
//   - Outside steps a handler only decides, from its input and the results of steps: no clock, no random numbers, no
//     network, no database. The same results must lead to the same steps in the same order, under the same names, also
//     in the next version of the program while tasks of the last are unfinished.
//   - A step runs at least once: it reads before it writes, or passes an idempotency key such as [Run.Key].
//   - Input and results are stored as JSON, in clear: no secrets in either. Pass the identifier of the row that holds
//     the sealed secret.
//   - A handler must not start a step while it holds a transaction: on SQLite both want the one writer connection.
//
// # Cancel
//
// [Engine.Cancel] asks. The context of the step that is running ends, the next step returns [ErrCanceled] without
// running, and the handler rolls back with [Undo], whose steps run to their end. Where in the handler the cancel was
// seen is stored with the steps, so that a crash in the middle of a roll-back resumes the roll-back. A cancel that comes
// while the last step does its work, in spite of its context, is too late: the task succeeds, and its log says so.
//
// # Replicas
//
// Each replica writes a heartbeat. The holder of the lease "task" hands the unfinished tasks of a replica that has been
// silent for [Options.DeadAfter] to the living ones. A replica that cannot write its heartbeat stops its own tasks
// before that time has passed, and one that was suspended does so when it wakes. So a task runs twice at once only where
// a step ignores its context or a suspended replica wakes in the middle of one; what the former run stores is refused.
//
// After PostgreSQL was away, tasks begin again within the time that it was away, and two minutes at most: DBOS looks less
// and less often.
//
// The steps and the queue are kept by DBOS, behind kit/task/queue. What people see of a run is kept by kit/task/journal.
// This package has the engine, the runs, and the replicas that watch each other.
package task
