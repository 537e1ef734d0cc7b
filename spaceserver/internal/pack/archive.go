package pack

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"odcm/spaceserver/internal/problem"
)

// budget bounds what is read while an archive's directory is: archive/zip keeps all of it in memory.
type budget struct {
	io.ReaderAt
	left int64
	off  bool
}

func (b *budget) ReadAt(p []byte, at int64) (int, error) {
	if !b.off {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, problem.Invalid("The package holds too many files.")
		}
	}
	return b.ReaderAt.ReadAt(p, at)
}

// openZip reads the directory of a zip file of at most so many bytes.
func openZip(file io.ReaderAt, size, directory int64) (*zip.Reader, error) {
	b := &budget{ReaderAt: file, left: directory}
	r, err := zip.NewReader(b, size)
	b.off = true
	if b.left < 0 {
		return nil, problem.Invalid("The package holds too many files.")
	}
	return r, err
}

func (x *extraction) zip(file io.ReaderAt, size int64, nupkg bool) error {
	r, err := openZip(file, size, longestNames+int64(x.limits.Files)*256)
	if err != nil {
		return err
	}
	for _, f := range r.File {
		name := f.Name
		if nupkg {
			if name = unescaped(name); ofNuGet(name) {
				continue
			}
		}
		if err := x.zipped(f, name); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) zipped(f *zip.File, name string) error {
	if f.Flags&1 != 0 {
		return problem.Invalid("The package's entry '" + shown(name) + "' is encrypted.")
	}
	mode := f.Mode()
	if strings.HasSuffix(name, "/") || strings.HasSuffix(name, `\`) {
		mode = mode&fs.ModePerm | fs.ModeDir
	}
	e := entry{name: name, mode: mode, modified: f.Modified}
	if mode.IsDir() {
		return x.add(e)
	}
	content, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return problem.Invalid("The package's entry '" + shown(name) + "' is packed in a way that is not supported.").Because(err)
	}
	if err != nil {
		return err
	}
	defer content.Close()
	if e.content = content; mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(content, longestName+1))
		if err != nil {
			return err
		}
		e.link = string(target)
	}
	return x.add(e)
}

// unescaped reads a name of a NuGet package, which is part of a URI.
func unescaped(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		return plain
	}
	return name
}

// ofNuGet tells what of a NuGet package describes it and is no content (NupkgExtractor.cs in OctopusDeploy/Calamari).
func ofNuGet(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
	for _, prefix := range []string{"_rels/", "package/services/metadata/", "[content_types].xml"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return path.Ext(name) == ".nuspec" || strings.HasSuffix(name, ".nupkg.sha512")
}

// unpacked counts what a decompressor gives, so that what lies between a tar's files is bounded too.
type unpacked struct {
	io.Reader
	x *extraction
	n int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	if err := u.x.context.Err(); err != nil {
		return 0, err
	}
	n, err := u.Reader.Read(p)
	u.n += int64(n)
	if over := u.x.over(u.n - int64(u.x.entries)<<12); over != nil { // headers and padding
		return 0, over
	}
	return n, err
}

func (x *extraction) tar(file io.Reader, f format) error {
	content := file
	switch f {
	case gzipped:
		z, err := gzip.NewReader(file)
		if err != nil {
			return err
		}
		content = z
	case bzipped:
		content = bzip2.NewReader(file)
	}
	r := tar.NewReader(&unpacked{Reader: content, x: x})
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		e := entry{name: h.Name, mode: h.FileInfo().Mode(), modified: h.ModTime, link: h.Linkname, content: r}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeLink:
			e.hard = true
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeGNUSparse:
		default:
			e.mode |= fs.ModeIrregular
		}
		if err := x.add(e); err != nil {
			return err
		}
	}
}
