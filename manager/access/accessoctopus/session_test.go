package accessoctopus_test

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// signIn starts a session by password and returns its cookies.
func (w *world) signIn(name, password string) []*http.Cookie {
	w.t.Helper()
	body, err := json.Marshal(fields{"Username": name, "Password": password, "State": fields{"RedirectAfterLoginTo": "/"}})
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.Post(w.clients[instance].URL()+"/api/users/login", "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) == 0 {
		w.t.Fatalf("sign-in of %s: %s", name, answer.Status)
	}
	return answer.Cookies()
}

func (w *world) signedIn(cookies []*http.Cookie) bool {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.clients[instance].URL()+"/api/users/me", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
