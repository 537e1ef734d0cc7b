// Package spaceserver is a small, honest, Octopus-compatible server: it speaks the public REST API of Octopus Deploy over
// a document store of its own, on SQLite or PostgreSQL. It is what `odcm dev` shows Spaces with, the rehearsal Space of
// a migration, and a stand-in for an Octopus server in anyone's automation.
//
// What it does not do it refuses in Octopus's own error shape: in this version nothing is deployed and no runbook runs,
// and it says so. It calls itself "Octopus Deploy" in the root document, because stock clients insist on it, and ODCM's
// Space server on its page and in its help texts.
//
// Inside: document (rows and events in SQL), collection (what all kinds of resources have in common), kinds (what is
// special about each), permission (who may), identity (who it is), rest (HTTP), page (what a browser sees at /).
package spaceserver
