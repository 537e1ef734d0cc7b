package chart_test

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"testing"

	"odcm/manager/report/chart"
	"odcm/manager/report/summary"
)

func example(lines bool, points int, name string) summary.Chart {
	c := summary.Chart{Title: "Deployments", Lines: lines, Unit: summary.Number, Series: []summary.Series{{Name: name, Tone: "success"}, {Name: "Failed", Tone: "danger"}}}
	for i := range points {
		c.Labels = append(c.Labels, name)
		c.Series[0].Values = append(c.Series[0].Values, float64(i*i))
		c.Series[1].Values = append(c.Series[1].Values, float64(i))
	}
	return c
}

// wellFormed reads the SVG as a browser would.
func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %.300s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "image" || e.Name.Local == "a") {
			t.Fatalf("an element %s", e.Name.Local)
		}
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	for _, lines := range []bool{false, true} {
		for _, points := range []int{0, 1, 2, 31, 400} {
			for _, dark := range []bool{false, true} {
				svg, err := chart.Draw(example(lines, points, "1 Mar"), chart.Options{Dark: dark})
				if err != nil {
					t.Fatalf("%v %d: %v", lines, points, err)
				}
				wellFormed(t, svg)
			}
			picture, err := chart.Draw(example(lines, points, "1 Mar"), chart.Options{PNG: true, Width: 600, Height: 240})
			if err != nil {
				t.Fatalf("%v %d: %v", lines, points, err)
			}
			if img, err := png.Decode(bytes.NewReader(picture)); err != nil || img.Bounds().Dx() != 600 {
				t.Fatalf("no picture: %v", err)
			}
		}
	}
	if svg, err := chart.Draw(summary.Chart{}, chart.Options{}); err != nil {
		t.Fatal(err)
	} else {
		wellFormed(t, svg)
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"1 Mar", "</text><script>alert(1)</script>", "a&b", `"'`, "\x00\xff", "Ünïcödé 日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, lines := range []bool{false, true} {
			svg, err := chart.Draw(example(lines, 2, s), chart.Options{})
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, svg)
		}
	})
}
