package design

import "net/http"

// ThemeCookie holds the theme that the person chose: "light", "dark" or "auto". It is readable by the script.
const ThemeCookie = "odcm-theme"

// ThemeOf returns the theme that the request's cookie asks for, "auto" where there is none.
func ThemeOf(r *http.Request) string {
	if c, err := r.Cookie(ThemeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return "auto"
}
