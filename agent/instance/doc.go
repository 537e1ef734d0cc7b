// Package instance keeps Octopus server instances running, each in a folder of its own:
//
//	manifest.json            what it is; written before anything else
//	instance.lock            held by its process, see odcm/agent/process
//	stdout, log, log.1       what it says; bounded
//	data/                    its own: database, files
//
// A [Supervisor] has one keeper for each instance. The keeper's loop compares what is desired, by the manager or else by the
// manifest, with what there is, does the next thing and waits for a change of either. Instances are sessions of their own
// and outlive the agent; the next one finds them again.
//
// What an instance leaves behind when it ends is killed before it is started again, so no two generations meet on one
// database.
//
// An instance that the manager's answer does not name is stopped and its folder put aside, not deleted: a manager that was
// restored from an old backup must not cost data. Deleting takes the manager's word for that very instance.
//
// The first administrator's password and API key pass from the wire to the environment of the process and are on no disk.
// An instance that has not run yet is therefore not started until the manager has been heard.
package instance
