// Package report counts what happens in all Spaces and tells it over time: deployments and how they ended, how fast and how
// safely changes reach production, what each Space holds, who signs in, what ODCM asks of servers, what licences allow.
//
// This package holds the facts, one row for each deployment and runbook run ([Deployment]), and the questions that a [Store]
// of them answers. Package collect brings them from the Spaces, upkeep counts what happens in ODCM itself and sums up facts
// that are old, by the quarter of an hour in the transaction that deletes them: every time zone in use is a whole number of
// quarters off UTC, so that days stay exact in any of them. Package summary makes the reports, schedule sends them.
package report
