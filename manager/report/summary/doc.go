// Package summary makes reports of what package report counted.
//
// Every report is a [Report]: figures, charts, a table and notes on what it was computed from. Pages, downloads, mail and
// the command line draw the same one. What it shows is what its reader may see.
package summary
