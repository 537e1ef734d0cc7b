// Package octopus says what the Octopus REST API says: resources, routes, versions, the shape of errors and pages. It is
// data only; [odcm/octopus/octoclient] speaks it, [odcm/octopus/octotest] holds servers to it.
//
// # Nothing is lost
//
// A server newer than this package has fields that it does not know. Since the end of 2020 a server may refuse a PUT with
// a field missing, so whoever changes a resource must send back all of it. Therefore every resource here is an [Object]:
// the JSON that the server sent, with accessors for the few fields that ODCM reads. To change one, get it, set the
// field, put the object:
//
//	project := octopus.Project{Object: o}
//	project.Set("Description", "Sells shoes")
//
// # Where names collide
//
// Space, Task, Subscription, Event and the like mean Octopus's own here. What ODCM calls a Space is odcm.SpaceID.
package octopus
