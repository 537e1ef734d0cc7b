package page

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/spaceserver/internal/page/visit"
)

// pulse is how often an open page asks whether anything happened. Nothing asks while no page is open.
const pulse = time.Second

// beat is how often a silent stream says that it lives, for proxies in between.
const beat = 25 * time.Second

// live tells an open page that something happened on the server, by the design's event stream: the page then reads its
// changing parts again. Whatever happens leaves an event, so the number of events is all that is compared.
func (p *pages) live(v *visit.Visit, w http.ResponseWriter, r *http.Request) {
	if v.Err() != nil {
		w.WriteHeader(visit.Status(v.Err()))
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	store := p.Service.Store
	seen, err := store.Counter(r.Context(), store.DB.Read(), "events")
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(w, "id: %d\nretry: 2000\n\n", seen)
	// What happened between the drawing of the page and this stream is not known: one more reading makes it certain.
	_, _ = fmt.Fprintf(w, "event: refresh\ndata: *\n\n")
	_ = control.Flush()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	spoke := time.Now()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		now, err := store.Counter(r.Context(), store.DB.Read(), "events")
		switch {
		case err != nil:
			return
		case now != seen:
			seen = now
			_, err = fmt.Fprintf(w, "id: %d\nevent: refresh\ndata: *\n\n", seen)
		case time.Since(spoke) > beat:
			_, err = fmt.Fprint(w, ": still here\n\n")
		default:
			continue
		}
		spoke = time.Now()
		if err != nil || control.Flush() != nil {
			return
		}
	}
}

// find answers the palette: pages and projects by a part of their name.
func find(v *visit.Visit, w http.ResponseWriter, r *http.Request) {
	q := strings.ToLower(strings.TrimSpace(v.Query("q")))
	var found []design.Choice
	add := func(group, label, detail, href, icon string) {
		if strings.Contains(strings.ToLower(label), q) {
			found = append(found, design.Choice{Group: group, Label: label, Detail: detail, Href: href, Icon: icon})
		}
	}
	if v.Space.ID != "" && v.Err() == nil {
		for _, o := range v.Try("projects?take=12&partialName=" + url.QueryEscape(q)).Objects("Items") {
			add("Projects", o.Text("Name"), o.Text("Description"), v.To("projects", o.Text("Id")), "box")
		}
		if q != "" {
			for _, o := range v.Try("tenants?take=8&partialName=" + url.QueryEscape(q)).Objects("Items") {
				add("Tenants", o.Text("Name"), "", v.To("tenants", o.Text("Id")), "users")
			}
			for _, o := range v.Try("machines?take=8&partialName=" + url.QueryEscape(q)).Objects("Items") {
				add("Targets", o.Text("Name"), "", v.To("infrastructure/targets", o.Text("Id")), "server")
			}
		}
	}
	for _, g := range v.Pages() {
		for _, item := range g.Items {
			add("Pages", item.Label, "", item.Href, item.Icon)
		}
	}
	for _, s := range v.Spaces() {
		add("Spaces", s.Name, s.ID, "/app/"+s.ID+"/dashboard", "layers")
	}
	for _, t := range [][3]string{{"light", "Light theme", "sun"}, {"dark", "Dark theme", "moon"}} {
		if q != "" && strings.Contains(strings.ToLower(t[1]), q) {
			found = append(found, design.Choice{Group: "Theme", Label: t[1], Icon: t[2], Theme: t[0]})
		}
	}
	if r.Header.Get("X-Odcm-Fetch") != "" {
		v.Fragment(design.Choices(found))
		return
	}
	v.Render(visit.Page{Title: "Go to", Body: design.SwitchPage(v.Query("q"), found)})
}
