package mail

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
)

// Letter is a message by its parts. All are plain text.
type Letter struct {
	Product string // "ODCM", above all
	Heading string
	Lines   []string // paragraphs before the button
	Button  string   // what the link is for; "" for no link
	Link    string   // http or https
	After   []string // paragraphs below, smaller
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
	if l.Button != "" {
		parts = append(parts, l.Button+":\n"+l.Link)
	}
	if len(l.After) > 0 {
		parts = append(parts, "--")
		parts = append(parts, l.After...)
	}
	return Message{To: to, Subject: subject, Text: strings.Join(parts, "\n\n") + "\n", HTML: html.String()}, nil
}
