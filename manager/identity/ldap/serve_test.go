package ldap_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"odcm"
	"odcm/manager/identity/provider"
)

// serve answers who a browser's ticket says that it is.
func serve(t *testing.T, s provider.Tickets) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Negotiate ")
		if !ok {
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		raw, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			t.Error(err)
		}
		a, reply, err := s.Accept(r.Context(), raw, r.RemoteAddr)
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, odcm.CodeOf(err), err, errors.Unwrap(err))
			return
		}
		w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(reply))
		fmt.Fprintf(w, "%s by %s in %s\n", a.Username, a.Method, strings.Join(names(a.Groups), ","))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func notAllowed(netip.Addr) error {
	return odcm.E(odcm.Invalid, "egress.denied", "ODCM does not connect there.")
}
