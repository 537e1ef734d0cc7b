package configuration

import (
	"strings"
	"testing"

	"odcm/octopus"
)

func accept(t *testing.T, id, kept, sent string) (octopus.Object, error) {
	t.Helper()
	section, ok := Find(id)
	if !ok {
		t.Fatalf("no section %s", id)
	}
	before, err := octopus.ParseObject([]byte(kept))
	if err != nil {
		t.Fatal(err)
	}
	o, err := octopus.ParseObject([]byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	return section.Accept(before, o)
}

func TestEverySectionTakesItsOwnDefaults(t *testing.T) {
	t.Parallel()
	for _, s := range Sections() {
		o, err := s.Accept(octopus.Object{}, octopus.Object{})
		if err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
		if strings.HasPrefix(s.ID, "authentication-") && s.ID != UsernamePassword && o.Bool("IsEnabled") {
			t.Errorf("%s is on by itself", s.ID)
		}
		if types := s.Metadata()["Types"].([]map[string]any); len(types[0]["Properties"].([]map[string]any)) != o.Len() {
			t.Errorf("%s: metadata and values differ", s.ID)
		}
	}
}

func TestWhatIsLeftOutStays(t *testing.T) {
	t.Parallel()
	o, err := accept(t, "authentication-od", `{"IsEnabled":true,"Issuer":"https://a","ClientId":"b","ClientSecret":{"HasValue":true,"NewValue":null}}`, `{"id":"x","links":{},"roleclaimtype":"r"}`)
	if err != nil || o.Text("Issuer") != "https://a" || o.Text("RoleClaimType") != "r" || !o.Object("ClientSecret").Bool("HasValue") || o.Has("Id") || o.Has("Links") {
		t.Errorf("%v, %v", o, err)
	}
	o, err = accept(t, Authentication, `{"ApiKeyMaxExpiryDays":10,"SessionTimeoutInSeconds":600}`, `{"ApiKeyMaxExpiryDays":null}`)
	if err != nil || o.Has("ApiKeyMaxExpiryDays") || o.Int("SessionTimeoutInSeconds") != 600 {
		t.Errorf("%v, %v", o, err)
	}
	o, err = accept(t, "authentication-od", `{}`, `{"ClientSecret":"as text"}`)
	if err != nil || o.Object("ClientSecret").Text("NewValue") != "as text" {
		t.Errorf("%v, %v", o, err)
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for id, all := range map[string][]string{
		"authentication-od": {`{"IsEnabled":true}`, `{"IsEnabled":true,"Issuer":"x","ClientId":"y"}`, `{"IsEnabled":true,"Issuer":"https://a?b","ClientId":"y"}`, `{"IsEnabled":true,"Issuer":"https://a"}`, `{"IsEnabled":1}`},
		Authentication: {`{"SessionTimeoutInSeconds":59}`, `{"MaximumSessionDurationInSeconds":999999999}`, `{"ApiKeyMaxExpiryDays":0}`, `{"ApiKeyMaxExpiryDays":"x"}`, `{"ApiKeyDefaultExpiryDays":-1}`,
			`{"TrustedRedirectUrls":["/x"]}`, `{"TrustedRedirectUrls":["javascript:x"]}`},
	} {
		for _, sent := range all {
			if o, err := accept(t, id, `{}`, sent); err == nil {
				t.Errorf("%s: %s became %v", id, sent, o)
			}
		}
	}
}
