package design

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed asset/*
var files embed.FS

// Assets serves the style sheet, the script and the icon below a prefix. Names carry a hash of the content, so browsers
// keep them for ever; the bytes are compressed once.
type Assets struct {
	prefix string
	url    map[string]string // name -> address
	served map[string]asset  // address -> content
}

type asset struct {
	kind  string
	small []byte // compressed: nearly every client takes that
}

// NewAssets prepares the assets to be served below the prefix ("/assets/"), which ends with a slash.
func NewAssets(prefix string) *Assets {
	a := &Assets{prefix: prefix, url: map[string]string{}, served: map[string]asset{}}
	entries, err := files.ReadDir("asset")
	if err != nil {
		panic(err) // cannot happen: it is embedded
	}
	for _, e := range entries {
		content, err := files.ReadFile("asset/" + e.Name())
		if err != nil {
			panic(err)
		}
		a.Add(e.Name(), content)
	}
	return a
}

// Add serves one more file. Call it before the assets are served.
func (a *Assets) Add(name string, content []byte) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(content) // a buffer takes everything
	_ = z.Close()
	a.AddCompressed(name, b.Bytes())
}

// AddCompressed serves one more file that is compressed already (gzip, RFC 1952). Name is that of the plain file.
func (a *Assets) AddCompressed(name string, small []byte) {
	sum := sha256.Sum256(small)
	ext := path.Ext(name)
	kind := kinds[ext]
	if kind == "" {
		kind = "application/octet-stream"
	}
	address := a.prefix + strings.TrimSuffix(name, ext) + "-" + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
	a.url[name], a.served[address] = address, asset{kind, small}
}

// kinds are written here and not asked of package mime, whose answers depend on the machine.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// URL returns the address of the asset with the name ("design.css").
func (a *Assets) URL(name string) string { return a.url[name] }

func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.served[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246: the name changes with the content
	h.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(f.small)))
		_, _ = w.Write(f.small) // the client is gone if it fails
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(f.small))
	if err != nil {
		http.Error(w, "asset cannot be read", http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, z)
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" || coding == "*" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
