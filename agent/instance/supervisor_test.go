package instance

import (
	"slices"
	"testing"
)

func TestInherit(t *testing.T) {
	t.Parallel()
	got := inherit([]string{"PATH=/bin", "ODCM_ADMIN_PASSWORD=x", "ADMIN_API_KEY=y", "HOME=/root"})
	if want := []string{"PATH=/bin", "HOME=/root"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
