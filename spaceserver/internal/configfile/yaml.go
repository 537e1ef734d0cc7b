package configfile

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

func replaceYAML(content []byte, r *report) ([]byte, error) {
	y := yamlReplacer{report: r, byKey: r.names()}
	var documents []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, malformed(YAML, err)
		}
		if err := y.walk(&doc, "", 0); err != nil {
			return nil, err
		}
		documents = append(documents, &doc)
	}
	if len(r.Replaced) == 0 {
		return content, nil
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(indent(string(content)))
	for _, doc := range documents {
		if err := enc.Encode(doc); err != nil {
			return nil, malformed(YAML, err)
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return lineEnds(b.Bytes(), content), nil
}

type yamlReplacer struct {
	*report
	byKey map[string]string
}

func (y *yamlReplacer) walk(n *yaml.Node, place string, depth int) error {
	if depth > deepest {
		return malformed(YAML, errors.New("nested too deeply"))
	}
	if name, ok := y.byKey[strings.ToLower(place)]; ok && place != "" && n.Kind != yaml.AliasNode {
		value, err := y.value(name)
		if err != nil {
			return err
		}
		setYAML(n, value)
		y.Replaced = append(y.Replaced, name)
		return nil
	}
	below := func(key string) string {
		if place == "" {
			return key
		}
		return place + ":" + key
	}
	for i, item := range n.Content {
		var err error
		switch {
		case n.Kind == yaml.DocumentNode:
			err = y.walk(item, place, depth+1)
		case n.Kind == yaml.SequenceNode:
			err = y.walk(item, below(strconv.Itoa(i)), depth+1)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			err = y.walk(item, below(n.Content[i-1].Value), depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setYAML puts a value in the place of a node. A scalar keeps its quotes: a quoted one stays text, and a plain one takes
// the type that the value looks like. A mapping or sequence becomes what the value is as YAML, or else a text.
func setYAML(n *yaml.Node, value string) {
	if n.Kind == yaml.ScalarNode {
		n.Value = value
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Style&yaml.TaggedStyle == 0 {
			n.Tag = ""
		}
		return
	}
	anchor, head, line, foot := n.Anchor, n.HeadComment, n.LineComment, n.FootComment
	var fragment yaml.Node
	if err := yaml.Unmarshal([]byte(value), &fragment); err == nil && len(fragment.Content) == 1 {
		*n = *fragment.Content[0]
		plainStyle(n, 0)
	} else {
		*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle}
	}
	n.Anchor, n.HeadComment, n.LineComment, n.FootComment = anchor, head, line, foot
}

// plainStyle writes what came as JSON as the rest of a YAML file is written.
func plainStyle(n *yaml.Node, depth int) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style &^= yaml.DoubleQuotedStyle // the encoder quotes what would be read as something else
	}
	for _, item := range n.Content {
		if depth < deepest {
			plainStyle(item, depth+1)
		}
	}
}

// indent is how far the first indented line of a file goes in.
func indent(content string) int {
	for line := range strings.Lines(content) {
		text := strings.TrimLeft(line, " ")
		if n := len(line) - len(text); n >= 2 && n <= 9 && !strings.HasPrefix(text, "#") && strings.TrimSpace(text) != "" {
			return n
		}
	}
	return 2
}

// lineEnds gives a text the line ends that most lines of the original have.
func lineEnds(text, original []byte) []byte {
	if 2*bytes.Count(original, []byte("\r\n")) <= bytes.Count(original, []byte("\n")) {
		return text
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
