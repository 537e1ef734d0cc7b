package picture_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"odcm"
	"odcm/manager/identity/picture"
)

// flag is red on the left, green in the middle third, blue on the right.
func flag(w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		c := color.NRGBA{R: 255, A: 255}
		if x >= w/3 {
			c = color.NRGBA{G: 255, A: 255}
		}
		if x >= 2*w/3 {
			c = color.NRGBA{B: 255, A: 255}
		}
		for y := range h {
			m.Set(x, y, c)
		}
	}
	return m
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// webp is one pixel, lossless.
func webp(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSquare(t *testing.T) {
	t.Parallel()
	wide := flag(900, 300)
	for name, file := range map[string][]byte{"PNG": asPNG(t, wide), "JPEG": asJPEG(t, wide), "WebP": webp(t), "a pixel": asPNG(t, flag(1, 1))} {
		out, err := picture.Square(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, kind, err := image.Decode(bytes.NewReader(out))
		if err != nil || kind != "jpeg" || m.Bounds() != image.Rect(0, 0, picture.Side, picture.Side) {
			t.Errorf("%s: %s %v, %v", name, kind, m.Bounds(), err)
		}
	}
	out, err := picture.Square(asPNG(t, wide))
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []int{5, 128, 250} { // only the middle third is left
		if r, g, b, _ := m.At(x, 128).RGBA(); g < 0xc000 || r > 0x4000 || b > 0x4000 {
			t.Errorf("at %d: %x %x %x", x, r, g, b)
		}
	}
}

func TestNothingOfTheFileItselfIsKept(t *testing.T) {
	t.Parallel()
	file := asJPEG(t, flag(30, 30))
	secret := []byte("GPS 51.5N 0.1W <script>")
	comment := append([]byte{0xff, 0xfe, 0, byte(len(secret) + 2)}, secret...)
	file = append(file[:2:2], append(comment, file[2:]...)...)
	file = append(file, "<?php trailing ?>"...)
	out, err := picture.Square(file)
	if err != nil || bytes.Contains(out, []byte("script")) || bytes.Contains(out, []byte("php")) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	t.Parallel()
	bomb := asPNG(t, flag(1, 1))
	binary.BigEndian.PutUint32(bomb[16:], 60000) // its header says 60,000 by 60,000
	binary.BigEndian.PutUint32(bomb[20:], 60000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	broken := asPNG(t, flag(50, 50))
	for name, file := range map[string][]byte{"empty": nil, "text": []byte("<svg onload=alert(1)>"), "GIF": []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
		"bomb": bomb, "cut off": broken[:len(broken)/2], "too large": make([]byte, picture.MaxBytes+1)} {
		if _, err := picture.Square(file); odcm.CodeOf(err) != "picture.invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSquare(f *testing.F) {
	f.Add(asPNG(f, flag(3, 2)))
	f.Add(asJPEG(f, flag(9, 7)))
	f.Add(webp(f))
	f.Fuzz(func(t *testing.T, file []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(file)); err == nil && c.Width*c.Height > 1<<20 {
			t.Skip("slow, and bounded elsewhere")
		}
		out, err := picture.Square(file)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Fatal(err)
			}
			return
		}
		if m, err := jpeg.Decode(bytes.NewReader(out)); err != nil || m.Bounds().Dx() != picture.Side {
			t.Fatal(err)
		}
	})
}
