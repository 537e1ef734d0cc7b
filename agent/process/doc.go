// Package process runs what outlives the agent that started it, and finds it again: by a lock file that the process holds.
//
// [Lock] opens and locks the file (flock) before there is a process, and [Start] hands the open file down. The lock belongs
// to the open file description, so it passes to the child in the same instant in which the child comes to be, and the
// kernel releases it when the last process that has it is gone. There is no moment in which a process runs unrecorded:
//
//   - killed before the start, nothing runs and the lock is free;
//   - killed at any moment after it, the lock is held, and whoever has that file open in /proc/<pid>/fd is the process.
//     The process id that Start writes into the file is a hint that makes finding it fast; [Adopt] believes it only where
//     that process has the lock file open, so a reused process id deceives nobody.
//
// Ends are noticed by pidfd in the runtime's poller: no thread per process. What a process leaves behind when it ends (its
// own children, which inherited the lock) is killed by [Sweep].
//
// All of this is what Linux tells of processes. Elsewhere every function fails with the same advice.
package process
