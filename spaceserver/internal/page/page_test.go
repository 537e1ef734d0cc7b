package page

import "testing"

func TestSigningInLeadsToPagesOfThisServerOnly(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/app/Spaces-1/projects?q=x": "/app/Spaces-1/projects?q=x", "": "/", "/sign-in": "/", "//elsewhere.example": "/", "https://elsewhere.example": "/",
		`/\elsewhere.example`: "/", "/a\nb": "/", "app": "/",
	} {
		if got := local(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}
