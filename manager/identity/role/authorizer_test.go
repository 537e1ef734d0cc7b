package role_test

import (
	"strings"
	"testing"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
)

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	a := role.NewAuthorizer()
	for action, want := range map[odcm.Action]string{ // who may: Administrator, aUditor, Space administrator, Member
		"space.enlist":     "A",
		"space.read":       "AUSM",
		"task.read":        "AU", // a task tells of any Space
		"task.cancel":      "A",
		"audit.read":       "AU",
		"apikey.create":    "AUSM",
		"user.create":      "A",
		"user.read":        "AU",
		"whatever.unheard": "A",
		"whatever.list":    "AU",
		"read":             "A",
		"":                 "A",
	} {
		got := ""
		for i, has := range person.Roles() {
			err := a.Authorize(t.Context(), odcm.Principal{User: "user-1", Roles: []odcm.Role{has}}, action, "")
			switch {
			case err == nil:
				got += "AUSM"[i : i+1]
			case odcm.KindOf(err) != odcm.Denied || !strings.Contains(err.Error(), "administrator"):
				t.Errorf("%s as %s: %v", action, has, err)
			}
		}
		if got != want {
			t.Errorf("%s: %s may, want %s", action, got, want)
		}
		if err := a.Authorize(t.Context(), odcm.Principal{Roles: person.Roles()}, action, ""); odcm.KindOf(err) != odcm.Unauthenticated {
			t.Errorf("%s as nobody: %v", action, err)
		}
	}
}
