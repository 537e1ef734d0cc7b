package subscription

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/audit"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Where a subscription stands is a setting and not in its document: it moves with every delivery, which is no change that
// anybody made, and clients that write back what they read must not move it.
func cursorOf(space, id string) string { return "subscription/" + space + "/" + id }

// cursor is the last event that was delivered or passed over, and when.
type cursor struct {
	event int64
	at    time.Time
}

func (c cursor) text() string {
	return strconv.FormatInt(c.event, 10) + " " + c.at.UTC().Format(time.RFC3339Nano)
}

func readCursor(text string) (cursor, error) {
	number, at, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return cursor{}, err
	}
	c := cursor{event: n}
	if at != "" {
		c.at, err = time.Parse(time.RFC3339Nano, at)
	}
	return c, err
}

// Prepare checks a subscription before it is written. A hook of the kind.
func Prepare(c *collection.Change) error {
	hook := c.New.Object("EventNotificationSubscription")
	if text := hook.Text("WebhookURI"); text != "" {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return problem.Invalid("WebhookURI must be an absolute address, as https://example.com/hook.")
		}
	}
	if text := hook.Text("WebhookTimeout"); text != "" {
		if _, err := duration(text); err != nil {
			return problem.Invalid("WebhookTimeout must be a time as 00:00:10, of at most five minutes.")
		}
	}
	if strings.ContainsAny(hook.Text("WebhookHeaderKey")+hook.Text("WebhookHeaderValue"), "\r\n\x00") {
		return problem.Invalid("WebhookHeaderKey and WebhookHeaderValue must be one line each.")
	}
	// Where it stands is the server's to say.
	for _, name := range []string{"WebhookLastProcessed", "WebhookLastProcessedEventAutoId", "EmailDigestLastProcessed", "EmailDigestLastProcessedEventAutoId"} {
		hook.Set(name, nil)
	}
	c.New.Set("EventNotificationSubscription", hook)
	return nil
}

// Settle lets a subscription that is new, or was disabled, begin with what happens from now on.
func Settle(c *collection.Change) error {
	if !c.Creating && !(c.Old.Bool("IsDisabled") && !c.New.Bool("IsDisabled")) {
		return nil
	}
	last, err := c.Service.Store.Counter(c.Context, c.Tx, "events")
	if err != nil {
		return err
	}
	return c.Service.Store.Set(c.Context, c.Tx, cursorOf(c.Space, c.ID), cursor{event: last}.text())
}

// Remove forgets where a deleted subscription stood.
func Remove(c *collection.Change) error {
	_, err := c.Tx.ExecContext(c.Context, "DELETE FROM spaceserver_setting WHERE name = $1", cursorOf(c.Space, c.ID))
	return err
}

// Present shows where a subscription stands.
func Present(v *collection.View, o *octopus.Object) error {
	text, err := v.Service.Store.Setting(v.Context, v.Service.Store.DB.Read(), cursorOf(v.Row.Space, v.Row.ID))
	if err != nil || text == "" {
		return err
	}
	at, err := readCursor(text)
	if err != nil || at.at.IsZero() {
		return err
	}
	hook := o.Object("EventNotificationSubscription")
	hook.Set("WebhookLastProcessed", at.at)
	hook.Set("WebhookLastProcessedEventAutoId", at.event)
	o.Set("EventNotificationSubscription", hook)
	return nil
}

// duration reads a .NET TimeSpan of hours, minutes and seconds.
func duration(text string) (time.Duration, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return 0, errors.New("not hh:mm:ss")
	}
	var total time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n, err := strconv.ParseFloat(parts[i], 64)
		if err != nil || n < 0 || n > 86400 {
			return 0, errors.New("not a number")
		}
		total += time.Duration(n * float64(unit))
	}
	if total <= 0 || total > 5*time.Minute {
		return 0, errors.New("out of bounds")
	}
	return total, nil
}

// watched are the categories that a filter asks for; nil for all.
func watched(filter octopus.Object) []string {
	groups, categories := filter.Texts("EventGroups"), filter.Texts("EventCategories")
	if len(groups) == 0 && len(categories) == 0 {
		return nil
	}
	return append(append(categories, audit.In(groups)...), "") // "" so that a group nobody knows is not everything
}
