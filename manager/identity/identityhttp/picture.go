package identityhttp

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/person"
	"odcm/manager/identity/picture"
)

// PictureURL is where a user's picture is; it changes with the picture, so that browsers may keep it. "" where there is none.
func PictureURL(u person.User) string {
	if u.Picture == "" {
		return ""
	}
	return "/people/" + url.PathEscape(string(u.ID)) + "/picture?v=" + url.QueryEscape(u.Picture)
}

// servePicture gives what was drawn here, as nothing but a picture (no sniffing: kit/web).
func (h *handler) servePicture(w http.ResponseWriter, r *http.Request) error {
	tag, jpeg, err := h.Service.Picture(r.Context(), web.Principal(r.Context()), odcm.UserID(r.PathValue("id")))
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("ETag", strconv.Quote(tag))
	head.Set("Cache-Control", "private, max-age=86400")
	if r.Header.Get("If-None-Match") == strconv.Quote(tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	head.Set("Content-Type", "image/jpeg")
	head.Set("Content-Length", strconv.Itoa(len(jpeg)))
	_, _ = w.Write(jpeg)
	return nil
}

func (h *handler) savePicture(w http.ResponseWriter, r *http.Request) error {
	jpeg, err := h.uploaded(r)
	if err == nil {
		p := web.Principal(r.Context())
		err = h.Service.SetPicture(r.Context(), p, p.User, jpeg)
	}
	if err != nil {
		return failForm(r, err, func() error { return h.renderProfile(w, r, profileFaults{picture: err}) })
	}
	h.site.Flash(w, r, "success", "Your picture was changed.")
	web.Redirect(w, r, "/settings")
	return nil
}

// uploaded returns the square, nil where the picture is to be removed. One at a time is drawn, since each takes memory.
func (h *handler) uploaded(r *http.Request) ([]byte, error) {
	if err := r.ParseMultipartForm(picture.MaxBytes); err != nil { //nolint:gosec // the site bounds every body
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, odcm.E(odcm.Invalid, "picture.invalid", "The picture is too large: use one of at most 4 MB.").OnField("picture").Because(err)
		}
		return nil, odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	defer r.MultipartForm.RemoveAll() //nolint:errcheck // temporary files, which the system clears too
	if r.PostFormValue("remove") != "" {
		return nil, nil
	}
	file, _, err := r.FormFile("picture")
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "picture.missing", "Choose a file first.").OnField("picture").Because(err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, picture.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	h.drawing.Lock()
	defer h.drawing.Unlock()
	return picture.Square(b)
}
