// Package collection is what all kinds of resources have in common: list, get, create, change and delete with paging,
// look-up by id, slug or name, space scoping, permissions, shapes, references, slugs, secrets, optimistic versions, links
// and events. One [Kind] holds what is special about a kind; package kinds is the table of them.
//
// # How to add a kind
//
// Add an entry to a list in the package of its area, below package kinds, whose Table joins them. The least is
//
//	{
//		Name: "Proxies", Type: "Proxy", Route: "proxies",
//		Template:   `{"Name":"","ProxyType":"HTTP","Host":"","Port":80,"Username":null,"Password":null}`,
//		Required:   []string{"Name", "Host"},
//		Permission: collection.Quartet("Proxy"),
//	}
//
// and gives all of: GET and POST /api/{space}/proxies, GET /all, GET, PUT and DELETE /{id}, the same at /api/proxies and
// /api/spaces/{space}/proxies, ids Proxies-1, a link in the root document and in the space's, distinct names, permissions,
// a sealed Password and events. Then, as needed:
//
//   - Template decides spelling and types: see package shape for what a template can say ("A|B" is one of, "<guid>", [""]).
//     Members that it does not name are kept as they were sent.
//   - References says which members hold ids of other kinds. They are checked on write, and the other document cannot be
//     deleted while it is used. Loose ones are neither: history.
//   - Owner is the member with the id of the document that it goes with when that is deleted; Under lists it below the
//     owner's route too (projects/{id}/channels).
//   - Project, ProjectGroup, Environments and Tenants name the members that restricted grants look at.
//   - Ours are members that only the server sets. A client's values are ignored; on a change the old ones stay.
//   - Versioned kinds carry Version and refuse a PUT of an old one with 409.
//   - Number makes ids that are not Name-<n>; Filters are query parameters; Links are relative to /api/{space}.
//   - Without takes verbs away: "list", "all", "get", "create", "edit", "delete".
//   - Hooks: Before (outside the transaction, for slow work), Prepare (validate and complete c.New), Settle (make what comes
//     with it), Remove (refuse, or delete what goes along), Present (add what is computed when it is read). A hook reads and
//     changes other documents through its [Change] only: c.Get, c.List, c.Create, c.Edit, c.Delete, c.Copy, c.In(space).
//     Refuse with problem.Invalid("A sentence that says what to do.").
//   - Actions are further routes. The handler gets a [Call]; it reads the body with c.Object or c.Decode, other documents
//     with c.Find and c.Service.List, and changes in c.Transact. What it returns is written as JSON; [Made] answers 201,
//     [Answer] any status, [Content] bytes. Actions that change documents as the server's own doing (Change.Edit) must ask
//     for permission themselves: set Permission, and Writes so that maintenance mode holds.
//
// Nothing else is to be registered. The tests of package kinds walk the table: every kind is created, read, changed and
// deleted on both databases.
//
// # What a row is
//
// The text of a document is stored as it is answered, without its links: reading needs no parsing, and what a newer client
// sent comes back unchanged. Secrets are taken out of it on the way in (secret.go) and lie sealed in a column of their own;
// no list and no event can hold one.
package collection
