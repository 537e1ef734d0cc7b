package prompt

import (
	"strings"
	"testing"

	"odcm/octopus"
)

func sets(t *testing.T, texts ...string) []octopus.Object {
	t.Helper()
	var all []octopus.Object
	for _, text := range texts {
		o, err := octopus.ParseObject([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

const asked = `{"Variables":[
	{"Id":"1","Name":"Colour","Value":"","Scope":{},"Prompt":{"Label":"Which colour","Required":true}},
	{"Id":"2","Name":"Size","Value":"L","Scope":{"Environment":["Environments-1"]},"Prompt":{"Required":true}},
	{"Id":"3","Name":"Password","Type":"Sensitive","IsSensitive":true,"Value":null,"Scope":{"Role":["web"]},"Prompt":{"Required":true}},
	{"Id":"4","Name":"Tenant only","Value":"","Scope":{"TenantTag":["Region/EU"]},"Prompt":{"Required":false}},
	{"Id":"5","Name":"Runbook only","Value":"","Scope":{"ProcessOwner":["Runbooks-1"]},"Prompt":{"Required":true}},
	{"Id":"6","Name":"Not asked","Value":"x","Scope":{},"Prompt":null}]}`

// TestOf: a prompt is asked where its value could apply (docs: projects/variables/prompted-variables).
func TestOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		at   Place
		want string
	}{
		{"in the environment", Place{Environment: "Environments-1", Process: "Projects-1"}, "1 2 3"},
		{"in another", Place{Environment: "Environments-2", Process: "Projects-1"}, "1 3"},
		{"for a tenant with the tag", Place{Environment: "Environments-2", TenantTags: []string{"Region/EU", "Plan/Gold"}}, "1 3 4"},
		{"for a runbook", Place{Environment: "Environments-2", Process: "Runbooks-1"}, "1 3 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range Of(sets(t, asked), test.at) {
				got = append(got, p.ID)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("asked %v, want %s", got, test.want)
			}
		})
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	prompts := Of(sets(t, asked), Place{Environment: "Environments-1"})
	for _, test := range []struct {
		name         string
		byID, byName map[string]string
		refused      string
	}{
		{"a value that is required is missing", nil, nil, "'Which colour'"},
		{"an empty value is none", map[string]string{"1": ""}, nil, "'Which colour'"},
		{"a default is enough, also a secret one", map[string]string{"1": "red"}, nil, ""},
		{"a secret that was emptied is missing", map[string]string{"1": "red", "3": ""}, nil, "'Password'"},
		{"by name or label in any case", nil, map[string]string{"which COLOUR": "red", "password": "hush"}, ""},
		{"a name that is not asked for", map[string]string{"1": "red"}, map[string]string{"Not asked": "y"}, "no prompted variable 'Not asked'"},
		{"an id that is not asked for is passed over", map[string]string{"1": "red", "99": "y"}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answers, err := Take(prompts, test.byID, test.byName)
			if (err != nil) != (test.refused != "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("refused with %v, want %q", err, test.refused)
			}
			if err != nil {
				return
			}
			if answers.Plain["1"] != "red" || answers.Plain["99"] != "" {
				t.Errorf("answers %v", answers.Plain)
			}
			for id, secret := range answers.Secret {
				if id != "3" || answers.Plain[id] != "" || secret.String() != "(sensitive)" {
					t.Errorf("secrets %v beside %v", answers.Secret, answers.Plain)
				}
			}
		})
	}
}
