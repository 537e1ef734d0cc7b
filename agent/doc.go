// Package agent runs Octopus server instances on one machine, as the manager desires, and tells the manager what it sees.
//
// The parts:
//
//   - this package: who the machine is (its key and certificate), the link to the manager, and what the machine has;
//   - agent/instance keeps the instances running, whether or not the manager is there;
//   - agent/process starts, finds and ends their processes, so that none is ever orphaned;
//   - agent/folder is the folder on the disk, with the executables.
//
// The agent asks the manager for the desired state, one long question at a time, and reports what it sees: whenever that
// changes, and every ten seconds. It calls; nothing calls it.
package agent
