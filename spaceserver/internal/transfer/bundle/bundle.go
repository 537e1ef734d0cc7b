package bundle

import (
	"archive/zip"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/problem"
)

const (
	format        = "project-export"
	formatVersion = 1
	manifestName  = "export.json"

	LargestFile = 64 << 20  // of a zip file
	largestText = 256 << 20 // of all documents, unpacked
	largestOne  = 16 << 20  // of one of them
	MostItems   = 50_000 - 1
)

// Manifest is export.json.
type Manifest struct {
	Format        string
	FormatVersion int
	ServerVersion string
	Exported      time.Time
	Space         string   // its name
	Projects      []string // names
	Salt          string   // base64
	Seal          string
}

// Item is one document on its way. Body has neither id nor space; Secrets are by their paths in it.
type Item struct {
	Kind    string
	ID      string `json:"Id"`
	Body    octopus.Object
	Secrets map[string]string `json:",omitempty"`
}

// Place is where a secret is: kind, id and path.
func (i *Item) Place(path string) string { return i.Kind + "/" + i.ID + path }

// Name is the Name of the document, "" where it has none.
func (i *Item) Name() string { return i.Body.Text("Name") }

// Bundle is all of an export, its secrets open.
type Bundle struct {
	Manifest
	Items []*Item
}

// Write makes the zip file. What is written is in the order of names, so that the digest is.
func (b *Bundle) Write(w io.Writer, password string, keys *Keys) error {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // crypto/rand does not fail
	key, err := keys.key(password, salt)
	if err != nil {
		return err
	}
	z, digest := zip.NewWriter(w), sha256.New()
	slices.SortFunc(b.Items, func(x, y *Item) int { return cmp.Compare(x.file(), y.file()) })
	for _, i := range b.Items {
		hidden := *i
		hidden.Secrets = map[string]string{}
		for path, plain := range i.Secrets {
			hidden.Secrets[path] = sealed(key, []byte(plain), i.Place(path))
		}
		text, err := json.Marshal(hidden)
		if err != nil {
			return err
		}
		if err := put(z, i.file(), text, b.Exported); err != nil {
			return err
		}
		count(digest, i.file(), text)
	}
	m := b.Manifest
	m.Format, m.FormatVersion, m.Salt, m.Seal = format, formatVersion, base64.StdEncoding.EncodeToString(salt), sealed(key, digest.Sum(nil), format)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(put(z, manifestName, text, b.Exported), z.Close())
}

func (i *Item) file() string { return "documents/" + i.Kind + "/" + i.ID + ".json" }

func put(z *zip.Writer, name string, text []byte, at time.Time) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func count(digest hash.Hash, name string, text []byte) {
	fmt.Fprintf(digest, "%s\x00%d\x00", name, len(text))
	_, _ = digest.Write(text) // a hash takes everything
}

// Read opens a zip file and all secrets in it. Nothing of it is trusted before its seal is.
func Read(r io.ReaderAt, size int64, password string, keys *Keys) (*Bundle, error) {
	foreign := problem.Invalid("The file is no export of projects that this server can read, or a damaged one.")
	if size > LargestFile {
		return nil, problem.Invalid("The file is larger than an export of projects can be.")
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, foreign.Because(err)
	}
	if len(z.File) > MostItems+1 {
		return nil, problem.Invalid("The file holds more documents than an export of projects can have.")
	}
	b, texts, left := &Bundle{}, map[string][]byte{}, int64(largestText)
	for _, f := range z.File {
		text, err := content(f, min(left, largestOne))
		if err != nil {
			return nil, foreign.Because(err)
		}
		if left -= int64(len(text)); texts[f.Name] != nil {
			return nil, foreign
		}
		texts[f.Name] = text
	}
	if err := json.Unmarshal(texts[manifestName], &b.Manifest); err != nil || b.Format != format {
		return nil, foreign.Because(err)
	}
	if b.FormatVersion != formatVersion {
		return nil, problem.Invalid("The file was exported by a newer server: import it there, or update this one.")
	}
	delete(texts, manifestName)
	salt, err := base64.StdEncoding.DecodeString(b.Salt)
	if err != nil || len(salt) != saltSize {
		return nil, foreign.Because(err)
	}
	key, err := keys.key(password, salt)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	for name, text := range sorted(texts) {
		count(digest, name, text)
	}
	if sum, err := opened(key, b.Seal, format); err != nil || string(sum) != string(digest.Sum(nil)) {
		return nil, errPassword
	}
	for name, text := range sorted(texts) {
		i := &Item{}
		if err := json.Unmarshal(text, i); err != nil || i.file() != path.Clean(name) {
			return nil, foreign.Because(err)
		}
		for path, text := range i.Secrets {
			plain, err := opened(key, text, i.Place(path))
			if err != nil {
				return nil, err
			}
			i.Secrets[path] = string(plain)
		}
		b.Items = append(b.Items, i)
	}
	return b, nil
}

// content reads a file of the archive, at most so many bytes, whatever its header says.
func content(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = errors.New("it unpacks to too much")
	}
	if text == nil {
		text = []byte{}
	}
	return text, err
}

func sorted(texts map[string][]byte) func(yield func(string, []byte) bool) {
	var names []string
	for name := range texts {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return func(yield func(string, []byte) bool) {
		for _, name := range names {
			if !yield(name, texts[name]) {
				return
			}
		}
	}
}

// Of lists the Items of a kind.
func (b *Bundle) Of(kind string) []*Item {
	var some []*Item
	for _, i := range b.Items {
		if i.Kind == kind {
			some = append(some, i)
		}
	}
	return some
}
