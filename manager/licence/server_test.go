package licence_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/manager/licence"
)

func ptr(n int) *int { return &n }

func server(name string, r *licence.Reading) licence.Server {
	return licence.Server{Instance: odcm.InstanceID("instance-" + name), Spaces: []licence.Space{{ID: odcm.SpaceID("space-" + name), Slug: name, Name: name}}, Reading: r}
}

func reading(kind string, compliant bool, daysLeft *int, limits ...licence.Limit) *licence.Reading {
	return &licence.Reading{Kind: kind, Compliant: compliant, DaysLeft: daysLeft, Limits: limits}
}

// all is a server of each sort, the worst first.
func all() []licence.Server {
	return []licence.Server{
		server("over", reading("CommercialLicense", true, ptr(200), licence.Limit{Name: "Targets", Used: 12, Allowed: 10})),
		server("refused", reading("Trial", false, nil, licence.Limit{Name: "Targets", Used: 5, Allowed: 10})),
		server("expired", reading("Trial", false, ptr(-1))),
		server("sooner", reading("Trial", true, ptr(3))),
		server("soon", reading("CommercialLicense", true, ptr(30))),
		server("near", reading("CommercialLicense", true, ptr(31), licence.Limit{Name: "Targets", Used: 9, Allowed: 10}, licence.Limit{Name: "Users", Used: 1, Allowed: 100})),
		server("unread", nil),
		server("busy", reading("CommercialLicense", true, nil, licence.Limit{Name: "Targets", Used: 8, Allowed: 10})),
		server("free", reading("CommunityEdition", true, nil, licence.Limit{Name: "Targets", Used: 1000, Unlimited: true})),
		server("idle", reading("", true, nil, licence.Limit{Name: "Targets", Used: 0, Allowed: 0})),
	}
}

func names(servers []licence.Server) (list []string) {
	for _, s := range servers {
		list = append(list, s.Name())
	}
	return list
}

func TestTheWorstComesFirst(t *testing.T) {
	t.Parallel()
	sorted := all()
	w := newWorld(t, reversed(sorted)...)
	got, next, err := w.List(t.Context(), audrey, licence.Filter{})
	if err != nil || next != (licence.Position{}) || !slices.Equal(names(got), names(sorted)) {
		t.Errorf("%q, %v, %v", names(got), next, err)
	}
	o, err := w.Overview(t.Context(), audrey)
	if err != nil || o.Servers != 10 || o.Spaces != 10 || o.States[licence.Exceeded] != 2 || o.States[licence.Expired] != 1 || o.States[licence.Expiring] != 2 ||
		o.States[licence.Near] != 1 || o.States[licence.Unknown] != 1 || o.States[licence.Fine] != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	want := []licence.Total{{Name: "Targets", Servers: 6, Used: 1034, Bounded: 34, Allowed: 40, Unlimited: 1}, {Name: "Users", Servers: 1, Used: 1, Bounded: 1, Allowed: 100}}
	if !slices.Equal(o.Totals, want) {
		t.Errorf("totals %+v", o.Totals)
	}
	if w.reads != 1 {
		t.Errorf("the servers were read %d times", w.reads)
	}
	w.now = w.now.Add(time.Minute)
	w.servers = w.servers[:3]
	if o, err = w.Overview(t.Context(), audrey); err != nil || o.Servers != 3 {
		t.Errorf("later: %+v, %v", o, err)
	}
}

func TestFiltersAndPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, all()...)
	for name, c := range map[string]struct {
		f    licence.Filter
		want []string
	}{
		"a state":               {licence.Filter{State: licence.Expiring}, []string{"sooner", "soon"}},
		"a name, in any case":   {licence.Filter{Text: " SOON "}, []string{"sooner", "soon"}},
		"a kind":                {licence.Filter{Text: "community"}, []string{"free"}},
		"both":                  {licence.Filter{Text: "soon", State: licence.Fine}, nil},
		"a page":                {licence.Filter{Limit: 2}, []string{"over", "refused"}},
		"a kind nobody told of": {licence.Filter{Text: "unread"}, []string{"unread"}},
	} {
		got, _, err := w.List(t.Context(), audrey, c.f)
		if err != nil || !slices.Equal(names(got), c.want) {
			t.Errorf("%s: %q, %v; want %q", name, names(got), err, c.want)
		}
	}
	if _, _, err := w.List(t.Context(), audrey, licence.Filter{State: "bad"}); odcm.CodeOf(err) != "licence.state-unknown" {
		t.Errorf("a state that is none: %v", err)
	}
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, all()...)
	_, err1 := w.Overview(t.Context(), bob)
	_, _, err2 := w.List(t.Context(), bob, licence.Filter{})
	_, err3 := w.Install(t.Context(), audrey, sign(t, w.key, licence.PayloadType, claim()))
	err4 := w.Remove(t.Context(), audrey)
	for i, err := range []error{err1, err2, err3, err4} {
		if odcm.KindOf(err) != odcm.Denied {
			t.Errorf("%d: %v", i, err)
		}
	}
	if w.reads != 0 || w.kept != nil {
		t.Error("something was read or kept for those who may not")
	}
}

// Whatever servers say, pages of any size show each once, in one order, and sums hold.
func TestPagesShowEachServerOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.OneOf(rapid.IntRange(-2, 12), rapid.SampledFrom([]int{math.MinInt, math.MaxInt}))
		var servers []licence.Server
		for i := range rapid.IntRange(0, 30).Draw(rt, "servers") {
			var r *licence.Reading
			if rapid.Bool().Draw(rt, "told") {
				r = reading("Trial", rapid.Bool().Draw(rt, "compliant"), nil)
				if rapid.Bool().Draw(rt, "expires") {
					r.DaysLeft = ptr(number.Draw(rt, "days"))
				}
				for range rapid.IntRange(0, 2).Draw(rt, "limits") {
					r.Limits = append(r.Limits, licence.Limit{Name: rapid.SampledFrom([]string{"Targets", "Users"}).Draw(rt, "limit"),
						Used: number.Draw(rt, "used"), Allowed: number.Draw(rt, "allowed"), Unlimited: rapid.Bool().Draw(rt, "unlimited")})
				}
			}
			s := server(fmt.Sprint(i%5), r)
			s.Instance = odcm.InstanceID(fmt.Sprint("instance-", i))
			servers = append(servers, s)
		}
		w := newWorld(t, servers...)
		whole, _, err := w.List(t.Context(), audrey, licence.Filter{Limit: licence.MaxPage})
		if err != nil || len(whole) != len(servers) {
			rt.Fatalf("%d of %d: %v", len(whole), len(servers), err)
		}
		f := licence.Filter{Limit: rapid.IntRange(1, 7).Draw(rt, "page")}
		var paged []licence.Server
		for {
			page, next, err := w.List(t.Context(), audrey, f)
			if err != nil || len(page) > f.Limit {
				rt.Fatalf("%d: %v", len(page), err)
			}
			paged = append(paged, page...)
			if next == (licence.Position{}) {
				break
			}
			f.After = next
		}
		same := func(a, b licence.Server) bool { return a.Instance == b.Instance }
		if !slices.EqualFunc(whole, paged, same) {
			rt.Fatalf("pages %v, whole %v", paged, whole)
		}
		for i := 1; i < len(whole); i++ {
			if slices.Index(licence.States(), whole[i-1].State()) > slices.Index(licence.States(), whole[i].State()) {
				rt.Fatalf("%s before %s", whole[i-1].State(), whole[i].State())
			}
		}
		o, err := w.Overview(t.Context(), audrey)
		if err != nil {
			rt.Fatal(err)
		}
		for _, sum := range o.Totals {
			if sum.Used < sum.Bounded || sum.Bounded < 0 || sum.Allowed < 0 || sum.Servers < sum.Unlimited {
				rt.Fatalf("%+v", sum)
			}
		}
	})
}

func reversed(servers []licence.Server) []licence.Server {
	servers = slices.Clone(servers)
	slices.Reverse(servers)
	return servers
}
