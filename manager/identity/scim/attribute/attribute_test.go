package attribute_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"odcm/manager/identity/scim/attribute"
)

func object(t testing.TB, text string) attribute.Object {
	t.Helper()
	var o attribute.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const barbara = `{"userName":"bjensen@example.com","externalId":"Ext-1","active":true,"title":"","nickName":null,"notes":"x",
	"name":{"givenName":"Barbara","familyName":"Jensen"},"age":42,
	"emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@example.org","type":"home"}],
	"members":[{"value":"2819c223"}],"meta":{"lastModified":"2026-05-13T04:42:34Z"},
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tour Operations"}}`

func TestFilterMatches(t *testing.T) {
	t.Parallel()
	r := object(t, barbara)
	for text, want := range map[string]bool{
		`userName eq "BJensen@example.com"`:  true,
		`USERNAME EQ "bjensen@example.com"`:  true,
		`userName eq "bjensen"`:              false,
		`externalId eq "ext-1"`:              false, // case counts in identifiers
		`externalId eq "Ext-1"`:              true,
		`userName ne "x"`:                    true,
		`nothing ne "x"`:                     true,
		`userName sw "bj"`:                   true,
		`userName ew ".COM"`:                 true,
		`userName co "jensen@"`:              true,
		`userName gt "a"`:                    true,
		`userName lt "a"`:                    false,
		`age ge 42`:                          true,
		`age gt 42`:                          false,
		`age eq 42.0`:                        true,
		`age le 41`:                          false,
		`active eq true`:                     true,
		`active eq "True"`:                   true,
		`active eq False`:                    false,
		`nickName eq null`:                   true,
		`title pr`:                           false,
		`name pr`:                            true,
		`name.familyName pr`:                 true,
		`nickName pr`:                        false,
		`name.familyName co "ENSE"`:          true,
		`emails co "example.org"`:            true,
		`emails.value eq "babs@example.org"`: true,
		`emails[type eq "work" and value co "@example.com"]`:                                         true,
		`emails[type eq "home" and primary eq true]`:                                                 false,
		`emails[not (type eq "work")]`:                                                               true,
		`members eq "2819c223"`:                                                                      true,
		`members[value eq "2819C223"]`:                                                               false,
		`meta.lastModified gt "2026-05-13T04:42:33Z"`:                                                true,
		`meta.lastModified lt "2026-05-13T05:42:34+01:00"`:                                           false,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "bj"`:                                true,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "tour operations"`: true,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x" or title pr`:   false,
		`title pr or active eq true and userName sw "x"`:                                             false, // and binds closer
		`(title pr or active eq true) and userName sw "b"`:                                           true,
		`not (userName eq "x") and not(title pr)`:                                                    true,
		`notes eq "x"`:             true, // begins with a keyword
		`userName eq "a\"b\u0041"`: false,
	} {
		f, err := attribute.ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := f.Match(r); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestFilterIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":               "",
		"no operator":         "userName",
		"unknown operator":    `userName is "x"`,
		"no value":            "userName eq",
		"unquoted value":      "userName eq bob",
		"open text":           `userName eq "bob`,
		"object as value":     `userName eq {"a":1}`,
		"list as value":       `userName eq ["a"]`,
		"open parenthesis":    `(userName pr`,
		"open bracket":        `emails[type pr`,
		"something behind":    `userName pr userName pr`,
		"half an and":         `userName pr and`,
		"no attribute":        `eq "x"`,
		"point at the end":    `name. eq "x"`,
		"order of booleans":   `active gt true`,
		"part of a number":    `age co 4`,
		"not without a group": `not userName pr`,
		"too deep":            strings.Repeat("(", 50) + "a pr" + strings.Repeat(")", 50),
		"too many terms":      strings.Repeat("a pr or ", 200) + "a pr",
		"too long":            `a eq "` + strings.Repeat("x", 10_000) + `"`,
		"not text":            "a eq \"\xff\"",
		"only a schema":       "urn:",
	} {
		_, err := attribute.ParseFilter(text)
		var e *attribute.Error
		if !errors.As(err, &e) || e.Type != "invalidFilter" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNarrowFindsWhatMustBeEqual(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		`userName eq "bob"`:                      {"username", "bob"},
		`active eq true and externalId eq "7"`:   {"externalid", "7"},
		`id eq "a" and members eq "b"`:           {"id", "a"},
		`userName eq "bob" or userName eq "ann"`: {},
		`not (userName eq "bob")`:                {},
		`userName sw "bob"`:                      {},
		`emails[value eq "bob"]`:                 {},
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:id eq "b"`: {},
	} {
		f, err := attribute.ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if name, value := attribute.Narrow(f); name != want[0] || value != want[1] {
			t.Errorf("%s: %q, %q", text, name, value)
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, ops, after string }{
		"Entra ID switches somebody off": {
			`{"active":true}`, `[{"op":"Replace","path":"active","value":"False"}]`, `{"active":"False"}`},
		"Okta switches somebody off": {
			`{"active":true,"userName":"b"}`, `[{"op":"replace","value":{"active":false}}]`, `{"active":false,"userName":"b"}`},
		"Okta renames a group and sends its identifier along": {
			`{"displayName":"a"}`, `[{"op":"replace","value":{"id":"x","displayName":"b"}}]`, `{"displayName":"b"}`},
		"Entra ID adds members": {
			`{"members":[{"value":"1"}]}`, `[{"op":"Add","path":"members","value":[{"value":"1"},{"value":"2"}]}]`, `{"members":[{"value":"1"},{"value":"2"}]}`},
		"Entra ID takes listed members out, and no others": {
			`{"members":[{"value":"1"},{"value":"2"}]}`, `[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"2"}]}]`, `{"members":[{"value":"1"}]}`},
		"one member goes by a value path": {
			`{"members":[{"value":"1"},{"value":"2"}]}`, `[{"op":"remove","path":"members[value eq \"1\"]"}]`, `{"members":[{"value":"2"}]}`},
		"all members go": {
			`{"members":[{"value":"1"}]}`, `[{"op":"remove","path":"members"}]`, `{}`},
		"members are replaced": {
			`{"members":[{"value":"1"}]}`, `[{"op":"replace","path":"members","value":[{"value":"3"}]}]`, `{"members":[{"value":"3"}]}`},
		"Entra ID sets the first work address": {
			`{}`, `[{"op":"Add","path":"emails[type eq \"work\"].value","value":"b@x"}]`, `{"emails":[{"type":"work","value":"b@x"}]}`},
		"an address of a type is replaced": {
			`{"emails":[{"type":"work","value":"a"},{"type":"home","value":"h"}]}`, `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"b"}]`,
			`{"emails":[{"type":"work","value":"b"},{"type":"home","value":"h"}]}`},
		"of two primary values the new one is": {
			`{"emails":[{"value":"a","primary":true}]}`, `[{"op":"add","path":"emails","value":[{"value":"b","primary":true}]}]`,
			`{"emails":[{"value":"a","primary":false},{"value":"b","primary":true}]}`},
		"names may be paths in a value without a path": {
			`{"name":{"familyName":"J"}}`, `[{"op":"Replace","value":{"name.givenName":"B","displayName":"B J"}}]`, `{"name":{"familyName":"J","givenName":"B"},"displayName":"B J"}`},
		"a part of a name is removed": {
			`{"name":{"familyName":"J","givenName":"B"}}`, `[{"op":"remove","path":"name.givenName"}]`, `{"name":{"familyName":"J"}}`},
		"parts that are not named stay": {
			`{"name":{"familyName":"J","givenName":"B"}}`, `[{"op":"replace","path":"name","value":{"givenName":"C"}}]`, `{"name":{"familyName":"J","givenName":"C"}}`},
		"an extension is made": {
			`{}`, `[{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"d"}]`,
			`{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}`},
		"an extension comes as an object": {
			`{}`, `[{"op":"add","value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}}]`,
			`{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}`},
		"what is not there is removed without an error": {
			`{}`, `[{"op":"remove","path":"title"},{"op":"remove","path":"name.givenName"},{"op":"remove","path":"emails[type eq \"x\"]"}]`, `{}`},
		"case of names does not count": {
			`{"displayName":"a"}`, `[{"op":"replace","path":"DISPLAYNAME","value":"b"}]`, `{"displayName":"b"}`},
		"null removes": {
			`{"title":"a"}`, `[{"op":"replace","path":"title","value":null}]`, `{}`},
	} {
		r := object(t, c.before)
		var ops []attribute.Operation
		if err := json.Unmarshal([]byte(c.ops), &ops); err != nil {
			t.Fatal(name, err)
		}
		if err := attribute.Apply(r, ops); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if want := object(t, c.after); !reflect.DeepEqual(r, want) {
			t.Errorf("%s:\n got %v\nwant %v", name, r, want)
		}
	}
}

func TestPatchIsRefused(t *testing.T) {
	t.Parallel()
	for ops, want := range map[string]string{
		`[]`:                             "invalidSyntax",
		`[{"op":"move","path":"title"}]`: "invalidSyntax",
		`[{"op":"remove"}]`:              "noTarget",
		`[{"op":"add","value":"x"}]`:     "invalidValue",
		`[{"op":"replace","path":"id","value":"x"}]`:                       "mutability",
		`[{"op":"replace","path":"meta.created","value":"x"}]`:             "mutability",
		`[{"op":"replace","path":"emails[","value":"x"}]`:                  "invalidFilter",
		`[{"op":"replace","path":"a b","value":"x"}]`:                      "invalidPath",
		`[{"op":"replace","path":"a..b","value":"x"}]`:                     "invalidPath",
		`[{"op":"replace","path":"emails[type pr].value","value":"x"}]`:    "noTarget",
		`[{"op":"replace","path":"emails[type eq \"work\"]","value":"x"}]`: "invalidValue",
	} {
		var all []attribute.Operation
		if err := json.Unmarshal([]byte(ops), &all); err != nil {
			t.Fatal(ops, err)
		}
		var e *attribute.Error
		if err := attribute.Apply(attribute.Object{}, all); !errors.As(err, &e) || e.Type != want {
			t.Errorf("%s: %v, want %s", ops, err, want)
		}
	}
}

// FuzzFilter asks what any reader must keep to: it ends, and what it reads answers without failing, the same each time.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "x"`, `emails[type eq "work" and not (value pr)]`, `a.b gt 1 or (c eq null)`, `urn:a:2.0:User:x co ""`, `a eq True`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := object(t, barbara)
		g, err := attribute.ParseFilter(text)
		if err != nil {
			var e *attribute.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			return
		}
		if g.Match(r) != g.Match(object(t, barbara)) {
			t.Error("two answers to one question")
		}
		if name, value := attribute.Narrow(g); name != "" { // what it finds must be needed
			r[attribute.KeyOf(r, name)] = value + "!"
			if g.Match(r) {
				t.Errorf("%s matches though %s is not %q", text, name, value)
			}
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add(barbara, `[{"op":"Add","path":"emails[type eq \"work\"].value","value":"x"}]`)
	f.Add(`{"members":[{"value":"1"}]}`, `[{"op":"remove","path":"members","value":[{"value":"1"}]}]`)
	f.Add(`{"name":"text","emails":{"value":1},"members":["a",null,1]}`, `[{"op":"replace","value":{"name.x":1,"emails":[null],"members":{"value":2}}}]`)
	f.Fuzz(func(t *testing.T, resource, ops string) {
		var r attribute.Object
		var all []attribute.Operation
		if json.Unmarshal([]byte(resource), &r) != nil || r == nil || json.Unmarshal([]byte(ops), &all) != nil {
			return
		}
		if err := attribute.Apply(r, all); err == nil {
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("what came out cannot be written: %v", err)
			}
		}
	})
}
