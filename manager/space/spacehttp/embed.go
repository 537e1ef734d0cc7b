package spacehttp

import (
	"embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"

	"odcm"
	"odcm/kit/web"
)

// The menu of Spaces as a web component, <odcm-spaces>, which pages of Spaces show in their header. Its script is public;
// what it asks is answered to whom the browser is signed in as, and only where a page of a Space asks (the Origin header,
// which a page cannot forge): any other page that a person visits learns nothing.

//go:embed asset/spaces.js
var assets embed.FS

// embed mounts the component and what it asks.
func (h *Handler) embed() {
	script, err := assets.ReadFile("asset/spaces.js")
	if err != nil {
		panic(err) // it is in the program, or the program was not built
	}
	sum := fnv.New64a()
	_, _ = sum.Write(script)
	tag := fmt.Sprintf(`"%x"`, sum.Sum64())
	h.Site.HandlePublic("GET /spaces.js", func(w http.ResponseWriter, r *http.Request) error {
		head := w.Header()
		head.Set("Content-Type", "text/javascript; charset=utf-8")
		head.Set("Cache-Control", "public, max-age=300, stale-while-revalidate=86400")
		head.Set("ETag", tag)
		head.Set("Access-Control-Allow-Origin", "*")
		head.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		_, err := w.Write(script)
		return err
	})
	h.Site.HandlePublic("GET /switcher/spaces", h.embedded)
	h.Site.AcceptCrossSite("POST /switcher/spaces/{id}/star") // starEmbedded checks the origin itself
	h.Site.HandlePublic("POST /switcher/spaces/{id}/star", h.starEmbedded)
}

// allow lets the page that asks read the answer, if it is a page of a Space (Fetch Standard, section 3.3).
func (h *Handler) allow(w http.ResponseWriter, r *http.Request) error {
	head, origin := w.Header(), r.Header.Get("Origin")
	head.Set("Vary", "Origin, Cookie")
	head.Set("Cache-Control", "private, no-store")
	if origin == "" && r.Method == http.MethodGet {
		return nil // of this site itself: browsers name the origin where it is another
	}
	may, err := h.Spaces.MayEmbed(r.Context(), origin)
	if err != nil {
		return err
	}
	if !may {
		return odcm.E(odcm.Denied, "space.origin-unknown", "The menu of Spaces is for pages of Spaces that this ODCM manages.")
	}
	head.Set("Access-Control-Allow-Origin", origin)
	head.Set("Access-Control-Allow-Credentials", "true")
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return nil
}

func (h *Handler) embedded(w http.ResponseWriter, r *http.Request) error {
	if err := h.allow(w, r); err != nil {
		return err
	}
	p, err := person(r)
	if err != nil {
		return err
	}
	sw, err := h.Spaces.Switcher(r.Context(), p, r.URL.Query().Get("q"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(switcherOf(sw))
}

func (h *Handler) starEmbedded(w http.ResponseWriter, r *http.Request) error {
	if err := h.allow(w, r); err != nil {
		return err
	}
	p, err := person(r)
	if err != nil {
		return err
	}
	if err := h.Spaces.Star(r.Context(), p, r.PathValue("id"), r.URL.Query().Get("on") == "true"); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// person is who is signed in to ODCM in the browser that asks.
func person(r *http.Request) (odcm.Principal, error) {
	p := web.Principal(r.Context())
	if p.User == "" {
		return p, odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "Nobody is signed in to ODCM in this browser.")
	}
	return p, nil
}
