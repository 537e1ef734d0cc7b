package people

import (
	"fmt"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/elevation"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

func (p *rules) listKeys(c *collection.Call) (any, error) {
	id, err := p.self(c)
	if err != nil {
		return nil, err
	}
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("ApiKeys"), collection.Listing{Owner: id})
	page.Path = "/api/users/" + id + "/apikeys"
	page.Template = page.Path + "{/id}{?skip,take}"
	return page, err
}

func (p *rules) key(c *collection.Call) (collection.Document, error) {
	id, err := p.self(c)
	if err != nil {
		return collection.Document{}, err
	}
	return c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("ApiKeys"), id, c.Param("key"))
}

// createKey answers the key in clear, this once.
func (p *rules) createKey(c *collection.Call) (any, error) {
	id, err := p.self(c)
	if err != nil {
		return nil, err
	}
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	expires, err := p.expiry(c, id, body)
	if err != nil {
		return nil, err
	}
	key := identity.NewKey()
	var made octopus.Object
	err = c.Transact(func(change *collection.Change) (err error) {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		if err := (elevation.Rules{Identity: p.Identity}).Acting(change, id); err != nil {
			return err
		}
		if made, err = change.In("").Create("ApiKeys", keyBody(c.Service, id, body.Text("Purpose"), key, expires)); err != nil {
			return err
		}
		return identity.AddKey(c.Context, change.Tx, made.Text("Id"), id, key, expires)
	})
	if err != nil {
		return nil, err
	}
	made.Delete("Hint")
	made.Set("ApiKey", key)
	made.Set("Links", map[string]string{"Self": "/api/users/" + id + "/apikeys/" + made.Text("Id")})
	return collection.Made{Value: made}, nil
}

// expiry decides when a new key ends (octopus-rest-api/how-to-create-an-api-key in Octopus's documentation): not in the
// past, not after the key that makes it, not later than the configuration lets keys live; and it refuses keys of people
// where the configuration lets only service accounts have new ones.
func (p *rules) expiry(c *collection.Call, user string, body octopus.Object) (time.Time, error) {
	policy, err := p.Identity.Policy(c.Context)
	if err != nil {
		return time.Time{}, err
	}
	if !policy.UserKeys {
		d, err := p.user(c, user)
		if err != nil {
			return time.Time{}, err
		}
		if !d.Object().Bool("IsService") {
			return time.Time{}, problem.Invalid("API keys of users are disabled on this server: use a service account.")
		}
	}
	now := c.Service.Now()
	latest := c.Principal.KeyExpires
	if policy.KeyDays > 0 {
		if most := now.AddDate(0, 0, policy.KeyDays); latest.IsZero() || most.Before(latest) {
			latest = most
		}
	}
	raw, _ := body.Get("Expires")
	expires := octopus.As[time.Time](body, "Expires")
	switch {
	case expires.IsZero() && len(raw) > 0 && string(raw) != "null" && string(raw) != `""`:
		return expires, problem.Invalid("Expires must be a time, as 2026-01-31T12:00:00Z.")
	case expires.IsZero():
		return latest, nil
	case !expires.After(now):
		return expires, problem.Invalid("The expiry date of an API key cannot be in the past.")
	case !latest.IsZero() && expires.After(latest) && latest.Equal(c.Principal.KeyExpires):
		return expires, problem.Invalid("The expiry date of an API key cannot be after that of the key that is used to create it.")
	case !latest.IsZero() && expires.After(latest):
		return expires, problem.Invalid(fmt.Sprintf("The expiry date of an API key cannot be more than %d days away on this server.", policy.KeyDays))
	}
	return expires, nil
}

func (p *rules) deleteKey(c *collection.Call) (any, error) {
	d, err := p.key(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		return change.Delete("ApiKeys", d.ID)
	})
}

// presentKey shows that there is a key and how it starts: ApiKeyResource is a sensitive value when read.
func (p *rules) presentKey(v *collection.View, o *octopus.Object) error {
	hint := o.Text("Hint")
	o.Delete("Hint")
	o.Set("ApiKey", map[string]any{"HasValue": true, "NewValue": nil, "Hint": hint})
	used, err := p.Identity.LastUsed(v.Context, v.Row.ID)
	if used.IsZero() {
		o.Set("LastUsed", nil)
		return err
	}
	o.Set("LastUsed", used)
	return err
}

// warned are the days before its end on which an API key's end is told; on the last day it is.
var warned = []struct {
	days     int
	category string
}{{20, "ApiKeyExpiry20DayWarning"}, {10, "ApiKeyExpiry10DayWarning"}, {0, "ApiKeyExpired"}}

// WarnOfKeys leaves events of API keys that come to their end, each once.
func WarnOfKeys(c *collection.Change) error {
	rows, err := c.List(document.Query{Kind: "ApiKeys", Order: document.OldestFirst})
	if err != nil {
		return err
	}
	now := c.Service.Now()
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		expires := octopus.As[time.Time](o, "Expires")
		if expires.IsZero() {
			continue
		}
		said := ""
		for _, w := range warned {
			if !now.Before(expires.AddDate(0, 0, -w.days)) {
				said = w.category
			}
		}
		if said == "" {
			continue
		}
		setting := "warned/" + row.ID
		before, err := c.Service.Store.Setting(c.Context, c.Tx, setting)
		if err != nil {
			return err
		}
		if before == said {
			continue
		}
		if err := c.Service.Store.Set(c.Context, c.Tx, setting, said); err != nil {
			return err
		}
		c.Note(said, "", "API key "+o.Text("Purpose")+" ends or ended on "+expires.UTC().Format(time.DateOnly), o.Text("Purpose"), []string{row.ID, o.Text("UserId")}, collection.ChangeDetails{})
	}
	return nil
}

func keyBody(service *collection.Service, user, purpose, key string, expires time.Time) octopus.Object {
	body := part.Object(map[string]any{"Purpose": purpose, "UserId": user, "Hint": key[:min(len(key), 7)], "Created": service.Now()})
	if !expires.IsZero() {
		body.Set("Expires", expires)
	}
	return body
}
