package spaceserver_test

import (
	"testing"

	"odcm/octopus/octotest"
)

// TestConformance holds the Space server to the Octopus API as a real server documents it, on both databases. It has no
// deviations and no gaps of its own: those that every server has are in the suite.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		octotest.Run(t, octotest.Server{URL: w.url, APIKey: w.key})
	})
}
