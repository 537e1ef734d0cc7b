// Package journal keeps what people see of the run of a task: its progress, its steps and its log, in the tables task_step
// and task_log and two columns of task, whose schema is odcm/kit/task's.
//
// A [Journal] gathers and writes in the background, so that neither a handler nor a transaction that it holds ever waits
// for it. Each write checks the fence: only the current run of the task may write.
package journal
