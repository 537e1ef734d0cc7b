package web

import (
	"net/http"

	"github.com/swaggest/swgui/v5/static"

	"odcm/kit/web/design"
)

// docs serves a page on which the API can be read and tried. Swagger UI's own page has inline scripts; ours loads the same
// files under the site's policy.
func (s *Site) docs() {
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		small, err := static.FS.ReadFile(name + ".gz")
		if err != nil {
			panic(err) // cannot happen: it is embedded
		}
		s.assets.AddCompressed(name, small)
	}
	s.HandlePublic("GET "+apiPrefix+"/docs", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return design.APIDocs(s.assets, s.o.Product, apiPrefix+"/openapi.json").Render(r.Context(), w)
	})
}
