package accesstest_test

import (
	"testing"

	"odcm/manager/access/accesstest"
)

// TestMemoryConforms keeps the store of the tests honest.
func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	m := accesstest.NewMemory()
	accesstest.Conformance(t, m, func() (types []string) {
		for _, e := range m.Events {
			types = append(types, e.Type)
		}
		return types
	})
}
