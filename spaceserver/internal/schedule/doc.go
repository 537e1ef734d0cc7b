// Package schedule says when something is due: the schedules of project triggers (docs: projects/project-triggers/scheduled-project-trigger)
// and the recurrence of deployment freezes. It is rules only, and knows time zones.
package schedule
