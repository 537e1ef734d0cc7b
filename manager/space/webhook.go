package space

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"odcm"
	"odcm/octopus"
)

// SecretHeader carries the secret of a Space's webhook.
const SecretHeader = "X-Odcm-Secret"

// hookName is the name of the subscription that ODCM keeps in each octopus.Space.
const hookName = "ODCM"

// HookState is how it stands with the webhook of a Space.
type HookState string

// The states of a webhook.
const (
	HookPending HookState = "pending" // to be done when the server answers
	HookApplied HookState = "applied" // the server holds what it should
	HookSkipped HookState = "skipped" // it cannot be had; Reason says why, and probes do without
)

// Hook is the webhook of a Space: one event subscription in its octopus.Space (/api/{space}/subscriptions) that tells ODCM when
// something happened there. It only wakes; what is true is read from the server, for deliveries may be lost.
type Hook struct {
	Space        odcm.SpaceID
	Subscription string          // its id on the server; empty before it is there
	Secret       Secret          // what the server must send in SecretHeader
	Previous     json.RawMessage // a subscription of that name that was there before, put back on delisting
	URL          string          // where it was last told to post
	State        HookState
	Reason       string    // why it is not applied
	Checked      time.Time // when it was last compared
	Applied      time.Time // when it was last written
	Drift        string    // what somebody had changed when it was last repaired
	Drifted      time.Time
	Repairs      int
}

// Webhook is the aspect that keeps the webhook of each active Space as it should be (see kit/reconcile).
type Webhook struct{ s *Service }

// Webhook returns the aspect.
func (s *Service) Webhook() *Webhook { return &Webhook{s} }

// Name implements the aspect.
func (*Webhook) Name() string { return "webhook" }

// Reconcile compares the webhook of the Space with what it should be and writes the difference.
func (w *Webhook) Reconcile(ctx context.Context, key string) (err error) {
	defer odcm.Wrap(&err, "webhook of %s", key)
	s := w.s
	sp, in, err := s.both(ctx, odcm.SpaceID(key))
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil || sp.State != StateActive {
		return err // a Space that comes or goes belongs to its task
	}
	h, err := s.applyHook(ctx, sp, in)
	if err != nil {
		return err
	}
	// Delisting may have begun since the Space was read, and taken the webhook away before it was written.
	if now, err := s.o.Store.Get(ctx, key); odcm.KindOf(err) == odcm.NotFound || err == nil && now.State != StateActive {
		return s.removeHook(ctx, sp, in, h)
	}
	return nil
}

func (s *Service) both(ctx context.Context, id odcm.SpaceID) (Space, Instance, error) {
	sp, err := s.o.Store.Get(ctx, string(id))
	if err != nil {
		return Space{}, Instance{}, err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	return sp, in, err
}

// applyHook brings the webhook to where it should be and keeps what it found and did. That it cannot be had, for want of
// a permission or of an address, is a state and no error.
func (s *Service) applyHook(ctx context.Context, sp Space, in Instance) (Hook, error) {
	h, err := s.o.Store.Hook(ctx, sp.ID)
	if odcm.KindOf(err) == odcm.NotFound {
		// Kept before the server has it: a crash in between must not leave a secret there that nobody knows.
		h = Hook{Space: sp.ID, Secret: newSecret(), State: HookPending}
		err = s.o.Store.SaveHook(ctx, h)
	}
	if err != nil {
		return h, err
	}
	before := h
	err = s.bringHook(ctx, sp, in, &h)
	h.Checked = s.o.Now()
	switch kind := odcm.KindOf(err); {
	case err == nil:
	case kind == odcm.Denied:
		h.State, h.Reason, err = HookSkipped, publicMessage(err), nil
	default:
		h.State, h.Reason = HookPending, publicMessage(err)
	}
	if save := s.o.Store.SaveHook(ctx, h); save != nil {
		return h, errors.Join(err, save)
	}
	if h.State != before.State || h.Repairs != before.Repairs {
		if s.o.Signals != nil {
			s.o.Signals.Publish(Topic(sp.ID))
		}
	}
	return h, err
}

// bringHook reads, compares and writes.
func (s *Service) bringHook(ctx context.Context, sp Space, in Instance, h *Hook) error {
	base := s.o.PublicURL()
	if base == "" {
		h.State, h.Reason = HookSkipped, "ODCM has no public URL that servers can reach. Set it in the settings; until then ODCM learns by asking."
		return nil
	}
	url := hookURL(base, sp.ID)
	actual, err := s.findHook(ctx, sp, in, *h)
	if err != nil {
		return err
	}
	if actual.Len() > 0 && h.Subscription == "" && webhookOf(actual).Text("WebhookURI") != url && h.Previous == nil {
		// Somebody's own subscription has our name. It is put back on delisting, so it is kept before it is changed.
		if h.Previous, err = actual.MarshalJSON(); err != nil {
			return err
		}
		if err := s.o.Store.SaveHook(ctx, *h); err != nil {
			return err
		}
	}
	wanted, difference := desiredHook(actual, sp.Octopus, url, h.Secret, h.URL == url)
	if len(difference) > 0 {
		ours := h.Subscription != "" && h.URL == url // we had written exactly this: somebody else changed it
		written, err := s.o.Octopus.PutSubscription(ctx, in.Connection(), sp.Octopus, wanted)
		if err != nil {
			return err
		}
		h.Subscription, h.URL, h.Applied = written.Text("Id"), url, s.o.Now()
		if ours {
			h.Drift, h.Drifted, h.Repairs = strings.Join(difference, ", "), s.o.Now(), h.Repairs+1
			s.log.InfoContext(ctx, "webhook was changed by somebody and is repaired", "space", sp.ID, "difference", h.Drift)
		}
	} else {
		h.Subscription, h.URL = actual.Text("Id"), url
	}
	h.State, h.Reason = HookApplied, ""
	return nil
}

// findHook returns the subscription that is ours, or has our name; empty where there is none.
func (s *Service) findHook(ctx context.Context, sp Space, in Instance, h Hook) (octopus.Object, error) {
	found, err := s.o.Octopus.Subscriptions(ctx, in.Connection(), sp.Octopus, hookName)
	if err != nil || len(found) == 0 {
		return octopus.Object{}, err
	}
	for _, o := range found {
		if o.Text("Id") == h.Subscription {
			return o, nil
		}
	}
	return found[0], nil
}

// removeHook takes the webhook away and puts back what was there before.
func (s *Service) removeHook(ctx context.Context, sp Space, in Instance, h Hook) error {
	if sp.Octopus == "" || in.URL == "" {
		return nil
	}
	actual, err := s.findHook(ctx, sp, in, h)
	if err != nil {
		return err
	}
	if h.Previous != nil {
		previous, err := octopus.ParseObject(h.Previous)
		if err != nil {
			return err
		}
		if id := actual.Text("Id"); id != "" {
			previous.Set("Id", id)
		} else {
			previous.Delete("Id")
		}
		_, err = s.o.Octopus.PutSubscription(ctx, in.Connection(), sp.Octopus, previous)
		return err
	}
	// By its id, or by its address where a crash came between writing it and remembering its id.
	if id := actual.Text("Id"); id != "" && (id == h.Subscription || strings.HasSuffix(webhookOf(actual).Text("WebhookURI"), hookPath(sp.ID))) {
		return s.o.Octopus.DeleteSubscription(ctx, in.Connection(), sp.Octopus, id)
	}
	return nil
}

// Hear takes a call of a Space's webhook, proved by the secret, and has the Space looked at.
func (s *Service) Hear(ctx context.Context, id odcm.SpaceID, secret Secret) error {
	h, err := s.o.Store.Hook(ctx, id)
	if err != nil && odcm.KindOf(err) != odcm.NotFound {
		return err
	}
	// An unknown Space compares against nothing and fails like a wrong secret: the caller learns no ids.
	if subtle.ConstantTimeCompare([]byte(h.Secret), []byte(secret)) != 1 || h.Secret == "" {
		return odcm.E(odcm.Unauthenticated, "space.hook-refused", "This is not the webhook of a Space that ODCM knows.")
	}
	s.o.Heard(id)
	return nil
}

func hookPath(id odcm.SpaceID) string             { return "/hooks/spaces/" + string(id) }
func hookURL(base string, id odcm.SpaceID) string { return strings.TrimRight(base, "/") + hookPath(id) }

// newSecret makes 130 bits of randomness, in text.
func newSecret() Secret { return Secret(rand.Text()) }

func webhookOf(subscription octopus.Object) octopus.Object {
	return subscription.Object("EventNotificationSubscription")
}

// desiredHook returns the subscription as it should be, made from the one that is there so that fields which ODCM does
// not know stay, and the names of the fields that differ. Servers may hide the header's value: where it cannot be read
// and was written before, it is believed.
func desiredHook(actual octopus.Object, octopusSpace, url string, secret Secret, written bool) (octopus.Object, []string) {
	fresh := actual.Len() == 0
	want, hook := actual.Clone(), webhookOf(actual).Clone()
	var difference []string
	set := func(o *octopus.Object, name string, value any, same bool) {
		if !same {
			o.Set(name, value)
			difference = append(difference, name)
		}
	}
	set(&want, "Name", hookName, want.Text("Name") == hookName)
	set(&want, "Type", "Event", want.Text("Type") == "Event")
	set(&want, "IsDisabled", false, !fresh && !want.Bool("IsDisabled"))
	set(&want, "SpaceId", octopusSpace, want.Text("SpaceId") == octopusSpace)
	set(&hook, "WebhookURI", url, hook.Text("WebhookURI") == url)
	set(&hook, "WebhookHeaderKey", SecretHeader, strings.EqualFold(hook.Text("WebhookHeaderKey"), SecretHeader))
	value, readable := headerValue(hook)
	set(&hook, "WebhookHeaderValue", string(secret), readable && value == string(secret) || !readable && written)
	if fresh {
		hook.Set("WebhookTimeout", "00:00:10")
	}
	// A filter that is narrowed hides events from ODCM; every list of it is to be empty (SW: EventNotificationSubscriptionFilter).
	filter := hook.Object("Filter").Clone()
	for name := range hook.Object("Filter").All() {
		if list := filter.Texts(name); len(list) > 0 {
			set(&filter, name, []string{}, false)
		}
	}
	for _, name := range []string{"Users", "Projects", "ProjectGroups", "Environments", "EventGroups", "EventCategories",
		"EventAgents", "Tenants", "Tags", "DocumentTypes"} {
		if fresh && !filter.Has(name) {
			filter.Set(name, []string{})
		}
	}
	hook.Set("Filter", filter)
	want.Set("EventNotificationSubscription", hook)
	return want, difference
}

// headerValue returns the value of the header, and whether the server shows it at all.
func headerValue(hook octopus.Object) (string, bool) {
	raw, ok := hook.Get("WebhookHeaderValue")
	if !ok || string(raw) == "null" {
		return "", false
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", false // a sensitive value: {"HasValue": true, ...}
	}
	return text, true
}

// publicMessage is what may be shown of an error.
func publicMessage(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("An error inside ODCM (%s); its log says more.", odcm.CodeOf(err))
}
