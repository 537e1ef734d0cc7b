package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"odcm/spaceserver/internal/collection"
)

// write answers a value as JSON, or content as it is.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, v any) {
	switch t := v.(type) {
	case collection.Made:
		status, v = http.StatusCreated, t.Value
	case collection.Answer:
		for name, values := range t.Header {
			w.Header()[name] = append(w.Header()[name], values...)
		}
		status, v = t.Status, t.Value
	case collection.Content:
		h.content(w, r, t)
		return
	}
	if v == nil {
		v = struct{}{}
	}
	text, err := encode(v)
	if err != nil {
		h.Logger.ErrorContext(r.Context(), "an answer could not be written", "path", r.URL.Path, "error", err)
		status, text = http.StatusInternalServerError, []byte(`{"ErrorMessage":"An unexpected error occurred. It was written to the server's log."}`)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // the client is gone: nobody to tell
	}
}

// encode writes documents without going through encoding/json, which would read every stored text again.
func encode(v any) ([]byte, error) {
	switch t := v.(type) {
	case collection.Document:
		return t.MarshalJSON()
	case []collection.Document:
		return collection.AppendAll(nil, t)
	case collection.Page[collection.Document]:
		return t.Append(nil)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func (h *Handler) content(w http.ResponseWriter, r *http.Request, c collection.Content) {
	if closer, ok := c.Body.(io.Closer); ok {
		defer closer.Close()
	}
	w.Header().Set("Content-Type", c.Type)
	if c.Name != "" {
		w.Header().Set("Content-Disposition", `attachment; filename="`+strings.NewReplacer(`"`, "", "\r", "", "\n", "", `\`, "").Replace(c.Name)+`"`)
	}
	// What people uploaded must not run as part of this site.
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
	if seeker, ok := c.Body.(io.ReadSeeker); ok && c.Status == 0 {
		http.ServeContent(w, r, "", time.Time{}, seeker) // whole, or the range that is asked for (RFC 9110, section 14)
		return
	}
	if c.Status == 0 {
		c.Status = http.StatusOK
	}
	w.WriteHeader(c.Status)
	if c.Body != nil && r.Method != http.MethodHead {
		_, _ = io.Copy(w, c.Body) // the client is gone: nobody to tell
	}
}
