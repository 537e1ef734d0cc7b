// Package device lets programs in that have no browser of their own, on the word of somebody who has one (RFC 8628).
package device
