// Package licence compares what is used with what was bought: of each Octopus server, as it says itself, and of ODCM.
//
// An Octopus server counts projects, tenants, machines and the like against its own licence. ODCM shows what each said, the worst
// first, and sums; it does not know which servers share a licence, nor whether two of them know the same machine, so a sum counts
// both, and the page says so.
//
// ODCM itself is free for any number of Spaces. What was bought beside it, support say, is told by an entitlement: a file that its
// publisher signed, which is proven here without asking anybody. An entitlement that has expired, or that cannot be proven, shows a
// notice and stops nothing.
package licence
