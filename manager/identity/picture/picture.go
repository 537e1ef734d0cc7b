// Package picture makes people's pictures out of what they upload: whatever comes is decoded and drawn anew, so that nothing
// of the file itself is ever served, neither where it was taken nor what else is hidden in it.
package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	_ "image/png" // decoder

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // decoder

	"odcm"
)

const (
	// MaxBytes bounds what is uploaded.
	MaxBytes = 4 << 20
	// Side is that of the square that comes out, in pixels: twice what the largest page shows.
	Side = 256

	maxSide   = 8192
	maxPixels = 16 << 20 // 64 MiB when decoded
)

// Square reads a PNG, JPEG or WebP and returns the middle of it as a JPEG of Side by Side: odcm.Invalid
// "picture.invalid" where it is none or too large.
func Square(file []byte) ([]byte, error) {
	invalid := func(text string, cause error) ([]byte, error) {
		return nil, odcm.E(odcm.Invalid, "picture.invalid", "%s", text).OnField("picture").Because(cause)
	}
	if len(file) > MaxBytes {
		return invalid("The picture is too large: use one of at most 4 MB.", nil)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(file)) // before the pixels are made room for
	switch {
	case err != nil:
		return invalid("This is not a picture that can be read: use a PNG, JPEG or WebP.", err)
	case c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels:
		return invalid("The picture has too many pixels: use one of at most 16 million.", nil)
	}
	from, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return invalid("The picture is broken: use another file.", err)
	}
	b := from.Bounds()
	side := min(b.Dx(), b.Dy())
	middle := image.Rect(0, 0, side, side).Add(b.Min).Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	to := image.NewRGBA(image.Rect(0, 0, Side, Side))
	draw.Draw(to, to.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src) // JPEG is not transparent
	draw.ApproxBiLinear.Scale(to, to.Bounds(), from, middle, draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, to, &jpeg.Options{Quality: 88}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
