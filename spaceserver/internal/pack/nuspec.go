package pack

import (
	"encoding/xml"
	"io"
	"os"
	"strings"
)

// Nuspec is what a NuGet package says of itself.
type Nuspec struct {
	ID           string `xml:"id"`
	Version      string `xml:"version"`
	Title        string `xml:"title"`
	Summary      string `xml:"summary"`
	Description  string `xml:"description"`
	ReleaseNotes string `xml:"releaseNotes"`
}

const (
	longestNuspec = 1 << 20
	largestIndex  = 16 << 20 // bytes of a zip's directory that are read to find the description
)

// ReadNuspec reads the description in the root of the NuGet package at path, and tells whether there is one.
func ReadNuspec(path string) (Nuspec, bool) {
	file, err := os.Open(path)
	if err != nil {
		return Nuspec{}, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Nuspec{}, false
	}
	archive, err := openZip(file, info.Size(), largestIndex)
	if err != nil {
		return Nuspec{}, false
	}
	for _, f := range archive.File {
		if strings.ContainsAny(f.Name, `/\`) || !strings.HasSuffix(strings.ToLower(f.Name), ".nuspec") {
			continue
		}
		content, err := f.Open()
		if err != nil {
			return Nuspec{}, false
		}
		defer content.Close()
		return parseNuspec(content)
	}
	return Nuspec{}, false
}

// parseNuspec reads at most a mebibyte. encoding/xml knows no entities but XML's own, so none can grow.
func parseNuspec(r io.Reader) (Nuspec, bool) {
	var n struct {
		Metadata Nuspec `xml:"metadata"`
	}
	decoder := xml.NewDecoder(io.LimitReader(r, longestNuspec))
	decoder.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, io.ErrUnexpectedEOF }
	if decoder.Decode(&n) != nil {
		return Nuspec{}, false
	}
	m := n.Metadata
	for _, text := range []*string{&m.ID, &m.Version, &m.Title, &m.Summary, &m.Description, &m.ReleaseNotes} {
		*text = strings.TrimSpace(*text)
	}
	return m, m.ID != "" && m.Version != ""
}
