package design

import "github.com/a-h/templ"

// FormProps describe a form. It is sent by the script, which shows what is wrong beside the fields; without script the
// browser sends it.
type FormProps struct {
	Action, Method string // POST if Method is empty
	ID             string
	Submit         string // the button's label; "" for none
	Kind           string // the button's kind, "primary" if empty
	Cancel         string // where to go instead; "" for no such link
	Error          string // what is wrong with the form as a whole
}

// Field describes one field of a form.
type Field struct {
	Name, Label, Help, Error string
	Value                    string
	Type                     string // "text" if empty; "password", "email", "url", "number", "search"
	Placeholder              string
	Autocomplete             string
	Required, Disabled, Mono bool
	Autofocus                bool
	Attrs                    templ.Attributes
}

// Option is one choice of a field.
type Option struct {
	Value, Label, Detail string
	On, Disabled         bool
}

func (f Field) kind() string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

func (f Field) id() string { return "field-" + f.Name }

func (f Field) attributes() templ.Attributes {
	a := templ.Attributes{"id": f.id(), "name": f.Name}
	if f.Placeholder != "" {
		a["placeholder"] = f.Placeholder
	}
	if f.Autocomplete != "" {
		a["autocomplete"] = f.Autocomplete
	}
	described := ""
	if f.Help != "" {
		described = f.id() + "-help "
	}
	a["aria-describedby"] = described + f.id() + "-error"
	if f.Error != "" {
		a["aria-invalid"] = "true"
	}
	if f.Required {
		a["required"] = true
	}
	if f.Disabled {
		a["disabled"] = true
	}
	if f.Autofocus {
		a["autofocus"] = true
	}
	if f.Mono {
		a["class"] = "mono"
		a["spellcheck"] = "false"
	}
	for k, v := range f.Attrs {
		a[k] = v
	}
	return a
}

// area are the attributes of a field of several lines: three, where nothing else is said.
func (f Field) area() templ.Attributes {
	a := f.attributes()
	if _, said := a["rows"]; !said {
		a["rows"] = "3"
	}
	return a
}

func (p FormProps) method() string {
	if p.Method == "" {
		return "post"
	}
	return p.Method
}

func (p FormProps) buttonKind() string {
	if p.Kind == "" {
		return "primary"
	}
	return p.Kind
}

func (p FormProps) attributes() templ.Attributes {
	a := templ.Attributes{"data-enhance": true}
	if p.ID != "" {
		a["id"] = p.ID
	}
	return a
}

// Confirm describes a question before something that is hard to undo.
type Confirm struct {
	ID, Title, Text string
	Action          string // where the form is posted
	Button          string // what the button that does it says
	Danger          bool
	Type            string            // the word to be typed first, such as the Space's name; "" for none
	Hidden          map[string]string // further values of the form
}
