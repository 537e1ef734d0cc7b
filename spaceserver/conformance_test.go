package spaceserver_test

import (
	"testing"

	"odcm/octopus/octotest"
	"odcm/octopus/octotest/swagger"
)

// TestConformance holds the Space server to the Octopus API as a real server documents it, on both databases. Beside
// the deviations that every server has, which are in the suite, it has the one that is named here, and no gaps.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		octotest.Run(t, octotest.Server{URL: w.url, APIKey: w.key, Deviations: []octotest.Deviation{
			{Definition: "ApiKeyResource", Field: "LastUsed", Problem: swagger.Unknown, Reason: "who looks after keys wants to know which are used"},
		}})
	})
}
