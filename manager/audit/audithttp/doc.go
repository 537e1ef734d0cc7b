// Package audithttp shows the log of events: the page /audit, and the REST operations to list and to export it.
package audithttp
