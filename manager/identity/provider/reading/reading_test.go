package reading_test

import (
	"strings"
	"testing"

	"odcm/manager/identity/person"
	"odcm/manager/identity/provider/reading"
)

func TestDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in, none, unknown, gone int // people by what was said of them
		people, memberships     int // of the reading before
		doubt                   string
	}{
		"nobody is linked":                       {},
		"the first reading":                      {in: 100},
		"as before":                              {in: 100, people: 100, memberships: 100},
		"the only one is gone":                   {gone: 1, people: 1, memberships: 1},
		"both are gone":                          {gone: 2, people: 2, memberships: 2, doubt: "2 of 2 people"},
		"three of ten are gone":                  {in: 7, gone: 3, people: 10, memberships: 10},
		"four of ten are gone":                   {in: 6, gone: 4, people: 10, memberships: 10, doubt: "4 of 10 people"},
		"a tenth is gone":                        {in: 900, gone: 100, people: 1000, memberships: 1000},
		"more than a tenth":                      {in: 899, gone: 101, people: 1000, memberships: 1000, doubt: "101 of 1000 people"},
		"all groups are empty":                   {none: 10, people: 10, memberships: 10, doubt: "None of 10 people"},
		"the only membership ends":               {none: 10, people: 10, memberships: 1},
		"twenty memberships end":                 {in: 10, none: 20, people: 30, memberships: 30},
		"a third of many memberships end":        {in: 200, none: 100, people: 300, memberships: 300},
		"more than a third end":                  {in: 199, none: 101, people: 300, memberships: 300, doubt: "There are 199 memberships"},
		"groups that were not read are not gone": {in: 1, unknown: 299, people: 300, memberships: 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reading.Reading{Linked: c.in + c.none + c.unknown + c.gone}
			for n, o := range map[*int]person.Observation{
				&c.in: {GroupsKnown: true, Groups: []person.ExternalGroup{{ID: "g"}}}, &c.none: {GroupsKnown: true}, &c.unknown: {}, &c.gone: {Gone: true},
			} {
				for range *n {
					r.Add([]person.Observation{o})
				}
			}
			got := r.Doubt(c.people, c.memberships)
			if (got == "") != (c.doubt == "") || !strings.HasPrefix(got, c.doubt) {
				t.Errorf("%q", got)
			}
			if r.Memberships != c.in || r.People() != c.in+c.none+c.unknown || r.Groups() > 1 {
				t.Errorf("%d memberships, %d people, %d groups", r.Memberships, r.People(), r.Groups())
			}
		})
	}
}
