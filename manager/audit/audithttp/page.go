package audithttp

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/audit"
)

type handler struct {
	site     *web.Site
	service  *audit.Service
	describe describer
	now      func() time.Time
}

// Register adds the room's page, its entry in the side bar and its operations to the site. Now is time.Now if nil.
func Register(site *web.Site, s *audit.Service, now func() time.Time) {
	if now == nil {
		now = time.Now
	}
	h := &handler{site, s, newDescriber(), now}
	site.AddNav(web.NavItem{ID: "audit", Label: "Audit", Icon: "log", Href: "/audit", Group: "Operate", Order: 80,
		Show: func(p odcm.Principal) bool { return p.Has(odcm.Administrator) || p.Has(odcm.Auditor) }})
	site.Handle("GET /audit", h.page)
	h.registerAPI(site.API())
}

// pageSize is how many events a page shows.
const pageSize = 50

// search is the page's filter as people type it, and where they are in the list.
type search struct {
	Text, Type, Subject, Actor string
	From, To                   string // days, in UTC; both belong to the period
	Before                     string // events older than this one
	Seen                       string // the newest event when the first page was read
}

func searchOf(q url.Values) search {
	return search{Text: q.Get("q"), Type: q.Get("type"), Subject: q.Get("subject"), Actor: q.Get("actor"), From: q.Get("from"), To: q.Get("to"),
		Before: q.Get("before"), Seen: q.Get("seen")}
}

func (s search) filter() (f eventlog.Filter, err error) {
	f = eventlog.Filter{Text: s.Text, Subject: s.Subject, Actor: s.Actor}
	if s.Type != "" {
		f.Types = []string{s.Type}
	}
	if f.From, err = day(s.From, "from"); err != nil {
		return f, err
	}
	if f.To, err = day(s.To, "to"); err != nil {
		return f, err
	}
	if !f.To.IsZero() {
		f.To = f.To.AddDate(0, 0, 1)
	}
	f.Before, err = position(s.Before)
	return f, err
}

func day(s, field string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, odcm.E(odcm.Invalid, "audit.day-invalid", "%q is not a day: write it as 2026-01-31.", s).OnField(field)
	}
	return t, nil
}

func position(s string) (odcm.EventID, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, odcm.E(odcm.Invalid, "request.cursor", "The address of this page is not complete: start again at the newest event.")
	}
	return odcm.EventID(n), nil
}

// address is the page's address with this search, at path.
func (s search) address(path string) string {
	q := url.Values{}
	for _, kv := range [][2]string{{"q", s.Text}, {"type", s.Type}, {"subject", s.Subject}, {"actor", s.Actor}, {"from", s.From}, {"to", s.To},
		{"before", s.Before}, {"seen", s.Seen}} {
		if kv[1] != "" {
			q.Set(kv[0], kv[1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// export is the address of the whole search as a file.
func (s search) export(format string, f eventlog.Filter) string {
	q := url.Values{"format": {format}}
	for _, kv := range [][2]string{{"text", s.Text}, {"type", s.Type}, {"subject", s.Subject}, {"actor", s.Actor}} {
		if kv[1] != "" {
			q.Set(kv[0], kv[1])
		}
	}
	if !f.From.IsZero() {
		q.Set("from", f.From.Format(time.RFC3339))
	}
	if !f.To.IsZero() {
		q.Set("to", f.To.Format(time.RFC3339))
	}
	return "/api/v1/audit/export?" + q.Encode()
}

func (s search) any() bool { return s.Text+s.Type+s.Subject+s.Actor+s.From+s.To != "" }

// entry is an event as the page shows it.
type entry struct {
	odcm.Event
	Sentence    []part
	Differences []difference
}

type list struct {
	Search         search
	Types          []design.Option
	Entries        []entry
	First, Next    string
	Newer          bool // events came since the first page was read
	CSV, JSONLines string
	Retention      int // days
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) error {
	s := searchOf(r.URL.Query())
	f, err := s.filter()
	if err != nil {
		return err
	}
	f.Limit = pageSize + 1
	p := web.Principal(r.Context())
	events, err := h.service.List(r.Context(), p, f)
	if err != nil {
		return err
	}
	l := list{Search: s, Types: h.describe.types(s.Type), CSV: s.export("csv", f), JSONLines: s.export("jsonl", f),
		Retention: int(h.service.Retention().Hours() / 24)}
	next := s
	if s.Before != "" {
		first := s
		first.Before, first.Seen = "", ""
		l.First = first.address("/audit")
		if l.Newer, err = h.newer(r, f, s.Seen); err != nil {
			return err
		}
	} else if len(events) > 0 {
		next.Seen = strconv.FormatInt(int64(events[0].ID), 10)
	}
	if len(events) > pageSize {
		events = events[:pageSize]
		next.Before = strconv.FormatInt(int64(events[pageSize-1].ID), 10)
		l.Next = next.address("/audit")
	}
	for _, e := range events {
		l.Entries = append(l.Entries, entry{e, h.describe.sentence(e), differences(e)})
	}
	return h.site.Render(w, r, http.StatusOK, web.Page{Title: "Audit", Nav: "audit", Intro: "Who did what, and when.", Actions: exports(l), Body: body(l)})
}

// newer tells whether an event matches that came after the one seen.
func (h *handler) newer(r *http.Request, f eventlog.Filter, seen string) (bool, error) {
	last, err := position(seen)
	if err != nil || last == 0 {
		return false, err
	}
	f.Before, f.Limit = 0, 1
	newest, err := h.service.List(r.Context(), web.Principal(r.Context()), f)
	return err == nil && len(newest) > 0 && newest[0].ID > last, err
}
