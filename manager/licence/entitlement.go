package licence

import (
	"context"
	"time"

	"odcm"
)

// Installed is an entitlement as it is kept: the file itself, which is no secret, and proven anew whenever it is read.
type Installed struct {
	File string
	At   time.Time
	By   string
}

// Standing says how an entitlement stands.
type Standing string

// The standings.
const (
	Valid    Standing = "valid"
	Ended    Standing = "expired"
	Early    Standing = "early"    // its time has not come: the clock was set back
	Unproven Standing = "unproven" // its key is not believed any more, or it was changed in the database
)

// Entitlement is what is installed, and how it stands.
type Entitlement struct {
	Claim    // zero where it is unproven
	KeyID    string
	Standing Standing
	DaysLeft *int // to the expiry, where it is valid and expires
	Problem  string
	At       time.Time
	By       string
}

// day is the unit in which expiry is counted.
const day = 24 * time.Hour

// entitlement reads and proves what is installed.
func (s *Service) entitlement(ctx context.Context) (*Entitlement, error) {
	kept, err := s.o.Store.Installed(ctx)
	if err != nil || kept == nil {
		return nil, err
	}
	e := &Entitlement{Standing: Valid, At: kept.At, By: kept.By}
	if e.Claim, e.KeyID, err = Prove(ctx, []byte(kept.File), s.o.Keys); err != nil {
		if odcm.KindOf(err) != odcm.Invalid {
			return nil, err
		}
		e.Standing, e.Problem = Unproven, "What is installed cannot be proven any more: install it again, or a newer one."
		return e, nil
	}
	e.judge(s.o.Now())
	return e, nil
}

func (e *Entitlement) judge(now time.Time) {
	switch {
	case now.Before(e.NotBefore):
		e.Standing, e.Problem = Early, "It is not valid yet: look whether the clock of this machine is right."
	case e.Expires.IsZero():
	case !now.Before(e.Expires):
		e.Standing, e.Problem = Ended, "It has expired. Everything goes on as before; ask for a new one to keep what it brings."
	default:
		left := int(e.Expires.Sub(now) / day)
		e.DaysLeft = &left
	}
}

// Soon tells whether it expires soon.
func (e *Entitlement) Soon() bool { return e.DaysLeft != nil && *e.DaysLeft <= Soon }

// told is what events tell of an entitlement.
type told struct {
	ID      string   `json:"id"`
	Holder  string   `json:"holder"`
	Expires string   `json:"expires,omitempty"`
	Extras  []string `json:"extras,omitempty"`
	Key     string   `json:"key"`
}

func tell(c Claim, key string) told {
	t := told{ID: c.ID, Holder: c.Holder, Key: key}
	if !c.Expires.IsZero() {
		t.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	for _, e := range c.Extras {
		t.Extras = append(t.Extras, e.Name)
	}
	return t
}

// before tells of what was installed, nil where that cannot be proven or there was none.
func (s *Service) before(ctx context.Context, kept *Installed) any {
	if kept == nil {
		return nil
	}
	c, key, err := Prove(ctx, []byte(kept.File), s.o.Keys)
	if err != nil {
		return nil
	}
	return tell(c, key)
}

// Install puts an entitlement in the place of what was there. The same file again changes nothing.
func (s *Service) Install(ctx context.Context, p odcm.Principal, file []byte) (_ *Entitlement, err error) {
	defer odcm.Wrap(&err, "install entitlement")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionManage, ""); err != nil {
		return nil, err
	}
	c, key, err := Prove(ctx, file, s.o.Keys)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	switch {
	case now.Before(c.NotBefore):
		return nil, odcm.E(odcm.Invalid, "licence.early", "The entitlement is valid from %s on: install it then. What is installed stays.", date(c.NotBefore)).OnField("file")
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return nil, odcm.E(odcm.Invalid, "licence.expired", "The entitlement expired on %s: ask for a new one. What is installed stays.", date(c.Expires)).OnField("file")
	}
	next := &Installed{File: string(file), At: now.UTC().Truncate(time.Millisecond), By: p.Name}
	err = s.o.Store.Swap(ctx, next, func(before *Installed) (*odcm.Event, error) {
		if before != nil && before.File == next.File {
			return nil, nil
		}
		e := odcm.NewEvent(p, "licence.installed", c.ID, c.Holder, s.before(ctx, before), tell(c, key))
		return &e, nil
	})
	if err != nil {
		return nil, err
	}
	return s.entitlement(ctx)
}

// Remove takes away what is installed.
func (s *Service) Remove(ctx context.Context, p odcm.Principal) (err error) {
	defer odcm.Wrap(&err, "remove entitlement")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionManage, ""); err != nil {
		return err
	}
	return s.o.Store.Swap(ctx, nil, func(before *Installed) (*odcm.Event, error) {
		if before == nil {
			return nil, odcm.E(odcm.NotFound, "licence.none", "No entitlement is installed.")
		}
		subject, name := "entitlement", "Entitlement"
		if c, _, err := Prove(ctx, []byte(before.File), s.o.Keys); err == nil {
			subject, name = c.ID, c.Holder
		}
		e := odcm.NewEvent(p, "licence.removed", subject, name, s.before(ctx, before), nil)
		return &e, nil
	})
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006") }
