// Package octotest holds an Octopus server to the Octopus REST API.
//
//	func TestConformance(t *testing.T) {
//		octotest.Run(t, octotest.Server{URL: url, APIKey: key})
//	}
//
// It takes every kind of resource through its life, asks for pages, names, versions, secrets and errors, and compares
// every single answer with the Swagger document that a real server (2020.5) serves of itself, and with recorded answers
// of real servers. Names that the document does not have, properties that are missing, other types and other values
// fail, unless a list says why they are right: [Deviation]. Both data sets are kept outside of the project, at
// $ODCM_SHARED or in "shared" beside the repository; without them the suite skips.
//
// A server that differs on purpose, or does not pass a step yet, lists it with its reason; what is on a list without need
// fails too:
//
//	Deviations: []octotest.Deviation{{"ProjectResource", "AutoDeployReleaseOverrides", swagger.Missing, "not kept"}},
//	Gaps:       map[string]string{"packages": "no feed yet"},
//
// Which operations a kind has, the document says. Deployments and runbook runs are read and not started: on a real
// server they would run.
package octotest
