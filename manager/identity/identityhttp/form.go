package identityhttp

import (
	"errors"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

type profileForm struct {
	person.Person
	Theme                             string
	Profile, Password, Email, Picture fault
	Mails                             bool // a link can be mailed to verify an address
}

type keyList struct {
	Keys    []session.APIKey
	Made    shownKey
	Fault   fault
	Purpose string
	Next    string
	Later   bool // not the first page
	Now     time.Time
}

type sessionList struct {
	Sessions []session.Session
	Here     session.ID
	Next     string
	Later    bool // not the first page
}

// fault is what is wrong with a form: with its fields, or with the whole.
type fault struct {
	fields map[string]string
	whole  string
}

func faultOf(err error) fault {
	if err == nil {
		return fault{}
	}
	f := fault{fields: web.Fields(err)}
	if e := (*odcm.Error)(nil); len(f.fields) == 0 && errors.As(err, &e) {
		f.whole = e.Message
	}
	return f
}

// any is what is wrong, wherever.
func (f fault) any() string {
	for _, text := range f.fields {
		return text
	}
	return f.whole
}

// lives are how long a new API key may work.
func lives() []design.Option {
	return []design.Option{
		{Value: "30", Label: "30 days"}, {Value: "90", Label: "90 days"}, {Value: "365", Label: "1 year"}, {Value: "0", Label: "Without end"},
	}
}

func themes(on string) []design.Option {
	all := []design.Option{
		{Value: "light", Label: "Light"}, {Value: "dark", Label: "Dark"}, {Value: "auto", Label: "System", Detail: "As this device is set"},
	}
	for i := range all {
		all[i].On = all[i].Value == on
	}
	return all
}

func roleNames(roles []odcm.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = strings.ReplaceAll(string(r), "-", " ")
	}
	return strings.Join(names, ", ")
}

// browserOf says in few words what a User-Agent header says in many. It is a hint for people who look for the session
// that is not theirs, never a fact. The order matters: every browser names others too.
func browserOf(agent string) string {
	first := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(agent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := first("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "HeadlessChrome", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := first("Windows", "Windows", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Macintosh", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case agent == "":
		return "Unknown"
	}
	return agent
}
