package collection

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// accept brings what was sent into the kind's shape and refuses what does not fit.
func (k *Kind) accept(sent octopus.Object, asked bool) (octopus.Object, error) {
	o := sent.Clone()
	o.Delete("Links")
	if asked {
		for name := range k.withheld {
			for o.Has(name) {
				o.Delete(name)
			}
		}
	}
	o.Delete("Id")
	var problems []string
	var fitted octopus.Object
	fitted.Set("Id", "")
	k.shape.FitInto(&fitted, o, "", &problems)
	for _, name := range k.Required {
		if value, _ := fitted.Get(name); len(value) == 0 || string(value) == "null" || strings.TrimSpace(string(value)) == `""` ||
			strings.TrimSpace(fitted.Text(name)) == "" && value[0] == '"' {
			problems = append(problems, "Please provide a value for "+name+".")
		}
	}
	if title := fitted.Text(k.Title); len(title) > 400 || strings.ContainsRune(title, 0) {
		problems = append(problems, k.Title+" must be at most 400 bytes of text.")
	}
	if len(problems) > 0 {
		return fitted, problem.Invalid(problems...)
	}
	return fitted, nil
}

// ready completes and checks c.New before it is written; asked for by a client, it must be permitted too.
func (c *Change) ready(asked bool) error {
	k := c.Kind
	if asked && k.Permit != nil {
		if err := k.Permit(c); err != nil {
			return err
		}
	}
	if k.Scope == InSpace {
		c.New.Set("SpaceId", c.Space)
	} else if k.Scope == InBoth {
		if c.Space == "" {
			c.New.Set("SpaceId", nil)
		} else {
			c.New.Set("SpaceId", c.Space)
		}
	}
	c.New.Set("LastModifiedOn", c.batch.at.Format("2006-01-02T15:04:05.000+00:00"))
	c.New.Set("LastModifiedBy", c.Principal.Username)
	if k.Prepare != nil {
		if err := k.Prepare(c); err != nil {
			return err
		}
	}
	if err := c.checkReferences(); err != nil {
		return err
	}
	if !k.Slugged {
		return nil
	}
	return c.slug()
}

// slug makes the slug from the name where none was sent, and makes it distinct with a number.
func (c *Change) slug() error {
	wanted := Slug(c.New.Text("Slug"))
	base := wanted
	if base == "" {
		base = Slug(c.New.Text(c.Kind.Title))
	}
	if wanted != "" && wanted == c.Old.Text("Slug") {
		c.New.Set("Slug", wanted)
		return nil
	}
	row := document.Row{Kind: c.Kind.Name, ID: c.ID, Space: c.Space, Owner: c.New.Text(c.Kind.Owner)}
	for n := 0; ; n++ {
		slug := base
		if n > 0 {
			slug += "-" + strconv.Itoa(n)
		}
		taken, err := c.Service.Store.SlugTaken(c.Context, c.Tx, row, slug)
		if err != nil {
			return err
		}
		if !taken {
			c.New.Set("Slug", slug)
			return nil
		}
		if wanted != "" || n > 1000 {
			return problem.Invalid("The slug '" + slug + "' is already in use. Please choose another.")
		}
	}
}

// Slug makes a name fit for an address: lower case, digits, and single dashes.
func Slug(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
			continue
		}
		dash = true
	}
	if b.Len() == 0 && name != "" {
		return "x"
	}
	return b.String()
}

// rowOf makes the columns and seals the secrets; those that were not sent again are as they were.
func (c *Change) rowOf(row document.Row) (document.Row, error) {
	k := c.Kind
	row.ID = c.ID
	row.Name = strings.ToLower(c.New.Text(k.Title))
	row.Distinct = !k.Shared && k.Title != "-" && row.Name != ""
	if k.Slugged {
		row.Slug = c.New.Text("Slug")
	}
	if k.State != "" {
		row.State = strings.ToLower(c.New.Text(k.State))
	}
	if k.Owner != "" {
		row.Owner = c.New.Text(k.Owner)
	}
	if row.Project = ""; k.Project != "" {
		// A variable set's owner may be a library set: no project then.
		if id := first(k.ids(c.New, c.ID, k.Project)); strings.HasPrefix(id, "Projects-") {
			row.Project = id
		}
	}
	if k.Position != "" {
		row.Position = c.New.Int(k.Position)
	}
	body, err := c.New.MarshalJSON()
	if err != nil {
		return row, err
	}
	s := &secrets{sealer: c.Service.sealer, place: k.Name + "/" + c.ID}
	if !c.Creating && mightHold(body) {
		if s.old, err = c.Service.Store.Sealed(c.Context, c.Tx, k.Name, row.ID, row.Space); err != nil {
			return row, err
		}
	}
	clean, err := s.take(body)
	if err != nil {
		return row, problem.Invalid(err.Error())
	}
	row.Body, err = compact(clean)
	row.Sealed = s.sealed
	return row, err
}

func (c *Change) taken(err error) error {
	if !db.IsUnique(err) {
		return err
	}
	return problem.Invalid("The name '" + c.New.Text(c.Kind.Title) + "' is already in use by another " + c.Kind.Noun() +
		". Please choose another.").Because(err)
}

func compact(raw json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(raw))
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
