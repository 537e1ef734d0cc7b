// Package alert says when something is wrong: rules about what is read of Spaces and servers, incidents, and who is told of
// them. Everything here is a function of its input: [State.Step] takes what happened and gives what is to be told, so that
// a replica that dies anywhere is replaced by one that goes on from what was committed.
//
// A rule's condition is pending until it held for its failure threshold, then the incident fires; it is resolved when the
// condition was gone for the success threshold. Whoever was told that it fires is told that it is over, and nobody else.
// What belongs together is told together after a short wait; a silence, a maintenance window, or the outage of the machine
// below keeps an incident quiet, and what still fires when that ends is told then. What changes too often is told once, as
// flapping, until it rests.
//
// Package watch feeds the input and commits the outcome, package delivery brings it to the receivers, package desk is what
// people ask for.
package alert
