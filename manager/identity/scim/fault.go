package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"odcm"
	"odcm/manager/identity/scim/attribute"
)

const (
	schemaError = "urn:ietf:params:scim:api:messages:2.0:Error"
	schemaList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	schemaPatch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// fault is an error as RFC 7644 section 3.12 wants it.
type fault struct {
	status int
	typ    string // scimType of table 9; may be empty
	detail string
}

func (f *fault) Error() string { return f.detail }

func invalid(typ, detail string) error { return &fault{http.StatusBadRequest, typ, detail} }

// faultOf turns any error into what is answered. What is not for the client is not in it.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var a *attribute.Error
	if errors.As(err, &a) {
		return &fault{http.StatusBadRequest, a.Type, a.Detail}
	}
	var e *odcm.Error
	if !errors.As(err, &e) {
		return &fault{http.StatusInternalServerError, "", "Something went wrong here; it is in the log."}
	}
	switch e.Kind {
	case odcm.Invalid, odcm.Unsupported:
		return &fault{http.StatusBadRequest, "invalidValue", e.Message}
	case odcm.NotFound:
		return &fault{http.StatusNotFound, "", e.Message}
	case odcm.Exists:
		return &fault{http.StatusConflict, "uniqueness", e.Message}
	case odcm.Conflict:
		return &fault{http.StatusConflict, "", e.Message}
	case odcm.Unauthenticated:
		return &fault{http.StatusUnauthorized, "", e.Message}
	case odcm.Denied:
		return &fault{http.StatusForbidden, "", e.Message}
	case odcm.Unavailable:
		return &fault{http.StatusServiceUnavailable, "", e.Message}
	}
	return &fault{http.StatusInternalServerError, "", "Something went wrong here; it is in the log."}
}

func (f *fault) write(w http.ResponseWriter) {
	body := map[string]any{"schemas": []string{schemaError}, "status": strconv.Itoa(f.status), "detail": f.detail}
	if f.typ != "" {
		body["scimType"] = f.typ
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="scim"`)
	}
	answer(w, f.status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"schemas":["`+schemaError+`"],"status":"500"}`)
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if it fails
}
