package collection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"odcm/octopus"
)

// Sealer encrypts secrets at rest. The associated data binds a secret to its place, so that a row swapped in the database
// does not open.
type Sealer interface {
	// Ready opens the key where that was put off. It is called outside of transactions, which opening may need itself.
	Ready() error
	Seal(plain []byte, associated string) (string, error)
	Open(sealed, associated string) ([]byte, error)
}

// secrets takes secrets out of a document, on their way to the database. Octopus has two shapes for them: a sensitive
// value {HasValue, NewValue, Hint} (SensitiveValue.cs) anywhere, and a variable of type Sensitive whose Value is text
// going in and null coming out. Both are found wherever they are, in members that nobody listed too.
type secrets struct {
	sealer Sealer
	place  string            // kind/id
	old    map[string]string // what was sealed before, by path
	sealed map[string]string
	mark   bool // only say which there are
}

// mightHold is a quick look: most documents hold nothing of the kind.
func mightHold(body []byte) bool {
	lower := bytes.ToLower(body)
	return bytes.Contains(lower, []byte(`"newvalue"`)) || bytes.Contains(lower, []byte(`"hasvalue"`)) || bytes.Contains(lower, []byte(`sensitive"`))
}

// warm has the key opened ahead of a transaction that may need it.
func (s *Service) warm(sent octopus.Object) error {
	for _, value := range sent.All() {
		if mightHold(value) {
			return s.sealer.Ready()
		}
	}
	if sent.Has("NewValue") || sent.Has("IsSensitive") {
		return s.sealer.Ready()
	}
	return nil
}

// Ready has the key opened ahead of a transaction that opens or seals secrets itself.
func (s *Service) Ready() error { return s.sealer.Ready() }

// take returns the document without its secrets, which are in s.sealed afterwards.
func (s *secrets) take(body json.RawMessage) (json.RawMessage, error) {
	s.sealed = map[string]string{}
	if !mightHold(body) {
		return body, nil
	}
	return s.walk(body, "")
}

func (s *secrets) walk(raw json.RawMessage, path string) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) > 0 && raw[0] == '{':
		o, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		if o.Len() <= 4 && isSensitiveValue(o) {
			return s.sensitiveValue(o, path)
		}
		if err := s.object(&o, path); err != nil {
			return nil, err
		}
		return o.MarshalJSON()
	case len(raw) > 0 && raw[0] == '[':
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, err
		}
		for i, e := range elements {
			walked, err := s.walk(e, path+"/"+key(e, i))
			if err != nil {
				return nil, err
			}
			elements[i] = walked
		}
		return marshal(elements)
	}
	return raw, nil
}

func (s *secrets) object(o *octopus.Object, path string) error {
	secret := o.Text("Type") == "Sensitive" || o.Bool("IsSensitive")
	for name, value := range o.Clone().All() {
		if secret && equalFold(name, "Value") {
			if err := s.value(o, name, path+"/Value"); err != nil {
				return err
			}
			continue
		}
		if len(value) == 0 || (value[0] != '{' && value[0] != '[') {
			continue
		}
		walked, err := s.walk(value, path+"/"+name)
		if err != nil {
			return err
		}
		o.Set(name, walked)
	}
	return nil
}

// value seals the Value of a sensitive variable. Null keeps what there was: that is what clients read and send back.
func (s *secrets) value(o *octopus.Object, name, path string) error {
	raw, _ := o.Get(name) // in this very spelling: there may be another
	var plain *string
	if err := json.Unmarshal(raw, &plain); err != nil {
		return fmt.Errorf("%s is not text", path)
	}
	o.Set(name, nil)
	return s.keepOrSeal(plain, true, path)
}

func (s *secrets) sensitiveValue(o octopus.Object, path string) (json.RawMessage, error) {
	plain := octopus.As[*string](o, "NewValue")
	if err := s.keepOrSeal(plain, o.Bool("HasValue"), path); err != nil {
		return nil, err
	}
	_, has := s.sealed[path]
	hint := octopus.As[*string](o, "Hint")
	return marshal(struct {
		HasValue bool
		NewValue *string
		Hint     *string
	}{has, nil, hint})
}

func (s *secrets) keepOrSeal(plain *string, keep bool, path string) error {
	switch {
	case s.mark:
		if s.old[path] != "" {
			s.sealed[path] = s.old[path]
		}
	case plain != nil && *plain != "":
		sealed, err := s.sealer.Seal([]byte(*plain), s.place+path)
		if err != nil {
			return err
		}
		s.sealed[path] = sealed
	case plain == nil && keep && s.old[path] != "":
		s.sealed[path] = s.old[path]
	}
	return nil
}

func isSensitiveValue(o octopus.Object) bool {
	has, okHas := o.Get("HasValue")
	value, okNew := o.Get("NewValue")
	if okNew && len(value) > 0 && (value[0] == '"' || value[0] == 'n') {
		return true
	}
	return okHas && (string(has) == "true" || string(has) == "false") && o.Len() <= 3
}

// key names an element of an array in paths: by its Id where it has one, so that secrets stay with what is moved.
func key(raw json.RawMessage, i int) string {
	if len(raw) > 0 && raw[0] == '{' {
		if o, err := octopus.ParseObject(raw); err == nil && o.Text("Id") != "" {
			return o.Text("Id")
		}
	}
	return strconv.Itoa(i)
}

func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func equalFold(a, b string) bool { return len(a) == len(b) && bytes.EqualFold([]byte(a), []byte(b)) }

// shown marks in a copied text which secrets there are: the copy was made from a text without secrets, where HasValue of
// what is not sealed yet became false.
func (s *Service) shown(body []byte, sealed map[string]string) []byte {
	w := &secrets{old: sealed, sealed: map[string]string{}, mark: true}
	text, err := w.walk(body, "")
	if err != nil {
		return body
	}
	return text
}

// Conceal seals the secrets of something that is kept as a setting: they lie sealed beside it, and its text has none.
func (c *Change) Conceal(name string, o octopus.Object) ([]byte, error) {
	text, err := c.Service.Store.Setting(c.Context, c.Tx, "sealed/"+name)
	if err != nil {
		return nil, err
	}
	old := map[string]string{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &old); err != nil {
			return nil, err
		}
	}
	body, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	s := &secrets{sealer: c.Service.sealer, place: "setting/" + name, old: old}
	clean, err := s.take(body)
	if err != nil {
		return nil, err
	}
	sealed, err := marshal(s.sealed)
	if err != nil {
		return nil, err
	}
	return clean, c.Service.Store.Set(c.Context, c.Tx, "sealed/"+name, string(sealed))
}

// Revealed opens the secrets of a setting that [Change.Conceal] sealed, by their path in it, for the server's own use.
func (s *Service) Revealed(ctx context.Context, name string) (map[string]string, error) {
	text, err := s.Store.Setting(ctx, s.Store.DB.Read(), "sealed/"+name)
	if err != nil || text == "" {
		return nil, err
	}
	var sealed map[string]string
	if err := json.Unmarshal([]byte(text), &sealed); err != nil {
		return nil, err
	}
	if len(sealed) > 0 {
		if err := s.sealer.Ready(); err != nil {
			return nil, err
		}
	}
	return s.open("setting", name, sealed)
}

// Seal encrypts what is no part of a document, bound to its place. Call it outside of transactions: it may make the key.
func (s *Service) Seal(plain []byte, place string) (string, error) {
	if err := s.sealer.Ready(); err != nil {
		return "", err
	}
	return s.sealer.Seal(plain, place)
}

// Unseal opens what [Service.Seal] made for the place.
func (s *Service) Unseal(sealed, place string) ([]byte, error) { return s.sealer.Open(sealed, place) }
