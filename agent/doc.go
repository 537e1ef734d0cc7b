// Package agent runs Octopus server instances on one machine, as the manager desires, and tells the manager what it sees.
//
// # The folder
//
//	identity.json              the machine's key, certificate and authority (0600)
//	agent.lock                 held while an agent uses the folder: there is one at a time
//	versions/<name>/odcm       executables; <name> is a version and the beginning of the file's SHA-256
//	instances/<id>/            one instance:
//	  manifest.json            what it is; written before anything else
//	  instance.lock            held by its process, see below
//	  stdout, log, log.1       what it says; bounded
//	  data/                    its own: database, files
//	retired/                   folders of instances that were removed with their data kept, or that the manager does not know
//	trash/                     folders on their way to be deleted
//
// # Nothing is orphaned
//
// Instances are sessions of their own and outlive the agent: an agent that is stopped, upgraded or killed finds them
// again. It opens and locks instance.lock (flock) before it starts a process and hands the open file down; the lock belongs
// to the open file description, so it passes to the child in the same instant in which the child comes to be, and the
// kernel releases it when the last process that has it is gone. There is no moment in which a process runs unrecorded:
//
//   - killed before the start, nothing runs and the lock is free;
//   - killed at any moment after it, the lock is held, and whoever has that file open in /proc/<pid>/fd is the instance.
//     The process id that the agent writes into the file is a hint that makes finding it fast; it is believed only where
//     that process has the lock file open, so a reused process id deceives nobody.
//
// Ends are noticed by pidfd in the runtime's poller: no thread per instance. What an instance leaves behind when it ends
// (its own children, which inherited the lock) is killed before it is started again, so no two generations meet on one
// database.
//
// An instance that the manager's answer does not name is stopped and its folder put aside, not deleted: a manager that was
// restored from an old backup must not cost data. Deleting takes the manager's word for that very instance.
//
// # Secrets
//
// The first administrator's password and API key pass from the wire to the environment of the process and are on no disk.
// An instance that has not run yet is therefore not started until the manager has been heard.
package agent
