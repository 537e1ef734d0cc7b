// Package receiver is who can be told of incidents, and in which words.
package receiver

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"odcm"
	"odcm/kit/mail"
)

// Kind is a way to tell somebody.
type Kind string

// The kinds.
const (
	Email     Kind = "email"
	Webhook   Kind = "webhook"
	Slack     Kind = "slack"
	Teams     Kind = "teams"
	PagerDuty Kind = "pagerduty"
	Other     Kind = "service" // by the URL of a service that the library knows
)

// Kinds are all there are, with what people call them.
func Kinds() []struct {
	Kind        Kind
	Label, Help string
} {
	return []struct {
		Kind        Kind
		Label, Help string
	}{
		{Email, "E-mail", "By the mail server that ODCM was started with."},
		{Webhook, "Webhook", "A signed JSON document, posted to a URL."},
		{Slack, "Slack", "An incoming webhook of a channel."},
		{Teams, "Microsoft Teams", "A workflow that takes a webhook request."},
		{PagerDuty, "PagerDuty", "Events API v2; resolved there when it is resolved here."},
		{Other, "Another service", "By URL: discord://, mattermost://, ntfy://, pushover://, rocketchat://."},
	}
}

// Receiver is somebody to tell.
type Receiver struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Kind     Kind     `json:"kind"`
	To       []string `json:"to,omitempty"`      // of Email: addresses
	Shown    string   `json:"shown"`             // where it goes, without what is secret
	CA       string   `json:"ca,omitempty"`      // PEM of authorities to trust instead of the machine's
	Default  bool     `json:"default,omitempty"` // told of what rules without receivers find
	Enabled  bool     `json:"enabled"`
	Revision int64    `json:"revision"`
	Sealed   string   `json:"sealed,omitempty"` // its secrets
	Secrets  Secrets  `json:"-"`                // empty unless it was opened for sending
}

// Secrets are kept sealed. URLs of chats hold their tokens.
type Secrets struct {
	URL string `json:"url,omitempty"`
	Key string `json:"key,omitempty"` // signs webhooks; PagerDuty's routing key
}

// String keeps secrets out of what is printed.
func (Secrets) String() string { return "(secret)" }

// GoString keeps them out of %#v too.
func (Secrets) GoString() string { return "(secret)" }

// Check returns what is wrong with the receiver, and says in Shown where it goes.
func (r *Receiver) Check() error {
	if n := len(strings.TrimSpace(r.Name)); n == 0 || n > 100 {
		return odcm.E(odcm.Invalid, "alert.receiver-name", "Give it a name of at most 100 letters.").OnField("name")
	}
	switch r.Kind {
	case Email:
		return r.checkAddresses()
	case PagerDuty:
		if n := len(r.Secrets.Key); n < 8 || n > 100 || strings.ContainsAny(r.Secrets.Key, " \t\r\n") {
			return odcm.E(odcm.Invalid, "alert.receiver-key", "Give the integration key of a service (Events API v2).").OnField("key")
		}
		r.Shown = "PagerDuty"
		if r.Secrets.URL == "" {
			return nil
		}
	case Webhook, Slack, Teams, Other:
	default:
		return odcm.E(odcm.Invalid, "alert.receiver-kind", "There is no such kind of receiver.").OnField("kind")
	}
	u, err := url.Parse(r.Secrets.URL)
	bad := err != nil || u.Host == "" || len(r.Secrets.URL) > 4000 || strings.ContainsAny(r.Secrets.URL, " \t\r\n")
	if r.Kind == Other {
		if bad || u.Scheme == "http" || u.Scheme == "https" {
			return odcm.E(odcm.Invalid, "alert.receiver-url", "Give the URL of a service, as ntfy://ntfy.sh/topic.").OnField("url")
		}
		r.Shown = u.Scheme
		return nil
	}
	if bad || u.Scheme != "https" && u.Scheme != "http" {
		return odcm.E(odcm.Invalid, "alert.receiver-url", "Give a URL that begins with https://.").OnField("url")
	}
	r.Shown = u.Scheme + "://" + u.Host
	return nil
}

func (r *Receiver) checkAddresses() error {
	if len(r.To) == 0 || len(r.To) > 100 {
		return odcm.E(odcm.Invalid, "alert.receiver-to", "Give one to a hundred addresses.").OnField("to")
	}
	for i, to := range r.To {
		address, err := mail.ParseAddress(to)
		if err != nil {
			return odcm.E(odcm.Invalid, "alert.receiver-to", "%q is no e-mail address.", to).OnField(fmt.Sprintf("to[%d]", i))
		}
		r.To[i] = address
	}
	r.To = slices.Compact(slices.Sorted(slices.Values(r.To)))
	r.Shown = strings.Join(r.To, ", ")
	if len(r.Shown) > 200 {
		r.Shown = fmt.Sprintf("%s and %d more", r.To[0], len(r.To)-1)
	}
	return nil
}

// Sealer keeps secrets.
type Sealer interface {
	Seal(plain []byte, place string) (string, error)
	Open(sealed, place string) ([]byte, error)
}

func (r *Receiver) place() string { return "alert_setting/body/" + r.ID }

// Seal puts the secrets away.
func (r *Receiver) Seal(s Sealer) error {
	plain, err := json.Marshal(r.Secrets)
	if err != nil {
		return err
	}
	r.Sealed, err = s.Seal(plain, r.place())
	return err
}

// Open fetches the secrets.
func (r *Receiver) Open(s interface {
	Open(sealed, place string) ([]byte, error)
}) error {
	if r.Sealed == "" {
		return nil
	}
	plain, err := s.Open(r.Sealed, r.place())
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, &r.Secrets)
}
