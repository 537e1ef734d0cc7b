package mail

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/url"
	"strings"
	"text/tabwriter"
)

// Letter is a message by its parts. All are plain text.
type Letter struct {
	Product string // "ODCM", above all
	Heading string
	Lines   []string // paragraphs before the button
	Button  string   // what the link is for; "" for no link
	Link    string   // http or https
	After   []string // paragraphs below, smaller
	Parts   []Part   // between the paragraphs and the button
}

// Part is a picture or a table of a letter, below a heading of its own.
type Part struct {
	Heading string
	Picture *Picture
	Alt     string   // the picture in words
	Head    []string // of the table; its first column is words, the others are numbers
	Rows    [][]string
}

//go:embed letter.html
var layout string

// Message writes the letter as text and as HTML, for the one who reads mail in a terminal and the one who does not. The HTML
// loads nothing from anywhere.
func (l Letter) Message(to, subject string) (Message, error) {
	page, err := template.New("letter").Parse(layout)
	if err != nil {
		return Message{}, err
	}
	var html bytes.Buffer
	if err := page.Execute(&html, l); err != nil {
		return Message{}, err
	}
	parts := append([]string{l.Heading}, l.Lines...)
	var pictures []Picture
	for _, p := range l.Parts {
		parts = append(parts, p.text()...)
		if p.Picture != nil {
			pictures = append(pictures, *p.Picture)
		}
	}
	if l.Button != "" {
		parts = append(parts, l.Button+":\n"+l.Link)
	}
	if len(l.After) > 0 {
		parts = append(parts, "--")
		parts = append(parts, l.After...)
	}
	return Message{To: to, Subject: subject, Text: strings.Join(parts, "\n\n") + "\n", HTML: html.String(), Pictures: pictures}, nil
}

// text is the part without its picture, which the table says too.
func (p Part) text() (parts []string) {
	if p.Heading != "" {
		parts = append(parts, p.Heading)
	}
	if p.Picture != nil && p.Alt != "" {
		parts = append(parts, p.Alt)
	}
	if len(p.Rows) == 0 {
		return parts
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{p.Head}, p.Rows...) {
		_, _ = w.Write([]byte(strings.Join(row, "\t") + "\n")) // a strings.Builder takes all
	}
	_ = w.Flush()
	return append(parts, strings.TrimRight(b.String(), "\n"))
}

// Source is where the HTML shows the picture from.
func (p Picture) Source() template.URL {
	return template.URL("cid:" + url.PathEscape(p.ID)) //nolint:gosec // escaped, and the scheme is fixed
}
