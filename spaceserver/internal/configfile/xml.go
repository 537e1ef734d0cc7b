package configfile

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

func readXML(content []byte) (*etree.Document, error) {
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveCData = true
	if err := doc.ReadFromBytes(content); err != nil {
		return nil, malformed(XML, err)
	}
	if doc.Root() == nil {
		return nil, malformed(XML, errors.New("no element"))
	}
	return doc, nil
}

func writeXML(doc *etree.Document, original []byte) ([]byte, error) {
	changed, err := doc.WriteToBytes()
	return lineEnds(changed, original), err
}

// replaceXML takes names as XPath expressions: those that have a slash or a colon, so that no plain name selects anything.
// XPath is the part that settings need: steps, //, *, prefixes, predicates of position, attribute and child, and at
// the end attributes, text(), comment() and processing-instruction().
func replaceXML(content []byte, r *report) ([]byte, error) {
	doc, err := readXML(content)
	if err != nil {
		return nil, err
	}
	for _, name := range r.vars.Names("") {
		if !strings.ContainsAny(name, "/:") {
			continue
		}
		found := find(doc, name)
		if len(found) == 0 {
			continue
		}
		value, err := r.value(name)
		if err != nil {
			return nil, err
		}
		for _, set := range found {
			if set(value) {
				r.Replaced = append(r.Replaced, name)
			} else {
				r.Skipped = append(r.Skipped, name)
			}
		}
	}
	return writeXML(doc, content)
}

// A setter puts a value into one place, if it fits there.
type setter func(value string) bool

var nodeTest = regexp.MustCompile(`^(?:child::)?(text|comment|processing-instruction)\(\s*(?:'([^']*)'|"([^"]*)")?\s*\)(?:\[(\d+)\])?$`)

// find gives the places that an expression selects; none for what is no expression.
func find(doc *etree.Document, expression string) (found []setter) {
	parent, last := cut(expression)
	if attribute, ok := strings.CutPrefix(last, "@"); ok {
		for _, e := range elements(doc, parent) {
			if a := e.SelectAttr(attribute); a != nil {
				found = append(found, func(value string) bool { a.Value = value; return true })
			}
		}
		return found
	}
	if m := nodeTest.FindStringSubmatch(last); m != nil {
		for _, e := range elements(doc, parent) {
			n := 0
			for _, child := range e.Child {
				set := nodeSetter(child, m[1], m[2]+m[3])
				if set == nil {
					continue
				}
				if n++; m[4] == "" || m[4] == strconv.Itoa(n) {
					found = append(found, set)
				}
			}
		}
		return found
	}
	for _, e := range elements(doc, expression) {
		found = append(found, func(value string) bool { return setElement(e, value) })
	}
	return found
}

// cut splits the last step off; slashes in predicates do not count.
func cut(expression string) (parent, last string) {
	depth, quote, at := 0, byte(0), -1
	for i := range len(expression) {
		switch c := expression[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[' || c == '(':
			depth++
		case c == ']' || c == ')':
			depth--
		case c == '/' && depth == 0:
			at = i
		}
	}
	if at < 0 {
		return "", expression
	}
	if parent = expression[:at]; strings.HasSuffix(parent, "/") {
		parent += "/*" // what comes after // may stand in any element
	}
	return parent, expression[at+1:]
}

// mostAnywhere is how many // an expression may have: each multiplies the elements that are looked at.
const mostAnywhere = 2

func elements(doc *etree.Document, expression string) []*etree.Element {
	if strings.Count(expression, "//") > mostAnywhere {
		return nil
	}
	path, err := etree.CompilePath(strings.ReplaceAll(expression, "*:", ""))
	if expression == "" || err != nil {
		return nil
	}
	found := doc.FindElementsPath(path)
	// A name without a prefix is one without a namespace (XPath 1.0, section 2.3); etree takes it for any.
	_, last := cut(expression)
	last, _, _ = strings.Cut(last, "[")
	if last == "*" || strings.Contains(last, ":") || strings.Trim(last, ".") == "" {
		return found
	}
	var plain []*etree.Element
	for _, e := range found {
		if e.NamespaceURI() == "" {
			plain = append(plain, e)
		}
	}
	return plain
}

func nodeSetter(t etree.Token, kind, target string) setter {
	switch n := t.(type) {
	case *etree.CharData:
		if kind == "text" && !n.IsWhitespace() {
			return func(value string) bool { return setText(n, value) }
		}
	case *etree.Comment:
		if kind == "comment" {
			return setUnless("--", &n.Data)
		}
	case *etree.ProcInst:
		if kind == "processing-instruction" && (target == "" || target == n.Target) {
			return setUnless("?>", &n.Inst)
		}
	}
	return nil
}

// setUnless sets a text that must not hold what ends it.
func setUnless(end string, text *string) setter {
	return func(value string) bool {
		if strings.Contains(value, end) {
			return false
		}
		*text = value
		return true
	}
}

// setText keeps a CDATA section one, unless the value would end it.
func setText(n *etree.CharData, value string) bool {
	if n.IsCData() && strings.Contains(value, "]]>") {
		return false
	}
	n.SetData(value)
	return true
}

// setElement replaces what is in an element: where elements were, the value is markup; where text was, it is text.
func setElement(e *etree.Element, value string) bool {
	if len(e.ChildElements()) == 0 {
		if len(e.Child) == 1 {
			if c, ok := e.Child[0].(*etree.CharData); ok && c.IsCData() {
				return setText(c, value)
			}
		}
		e.SetText(value)
		return true
	}
	fragment := etree.NewDocument()
	fragment.ReadSettings.PreserveCData = true
	if err := fragment.ReadFromString("<x>" + value + "</x>"); err != nil || len(fragment.ChildElements()) != 1 {
		return false
	}
	for len(e.Child) > 0 {
		e.RemoveChildAt(0)
	}
	for _, child := range append([]etree.Token(nil), fragment.Root().Child...) {
		e.AddChild(child)
	}
	return true
}

// replaceSettings puts values into .NET's own sections (docs: xml-configuration-variables-feature): appSettings by key,
// connectionStrings by name, and applicationSettings by name.
func replaceSettings(content []byte, r *report) ([]byte, error) {
	doc, err := readXML(content)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, name := range r.vars.Names("") {
		names[strings.ToLower(name)] = name
	}
	put := func(e *etree.Element, key string, set func(value string)) error {
		a := e.SelectAttr(key)
		if a == nil {
			return nil
		}
		name, ok := names[strings.ToLower(a.Value)]
		if !ok {
			return nil
		}
		value, err := r.value(name)
		if err == nil {
			set(value)
			r.Replaced = append(r.Replaced, name)
		}
		return err
	}
	for _, e := range doc.FindElements("//*") {
		var err error
		parent := e.Parent().Tag
		switch {
		case parent == "appSettings" && e.Tag == "add":
			err = put(e, "key", func(value string) { e.CreateAttr("value", value) })
		case parent == "connectionStrings" && e.Tag == "add":
			err = put(e, "name", func(value string) { e.CreateAttr("connectionString", value) })
		case e.Tag == "setting" && within(e, "applicationSettings"):
			err = put(e, "name", func(value string) {
				v := e.SelectElement("value")
				if v == nil {
					v = e.CreateElement("value")
				}
				v.SetText(value)
			})
		}
		if err != nil {
			return nil, err
		}
	}
	return writeXML(doc, content)
}

func within(e *etree.Element, tag string) bool {
	for p := e.Parent(); p != nil; p = p.Parent() {
		if p.Tag == tag {
			return true
		}
	}
	return false
}
