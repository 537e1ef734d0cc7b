package people

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// invited is how long an invitation holds.
const invited = 7 * 24 * time.Hour

func prepareInvitation(c *collection.Change) error {
	for _, id := range c.New.Texts("AddToTeamIds") {
		row, err := c.Service.Store.Get(c.Context, c.Tx, "Teams", id, "*")
		if err != nil {
			return part.OrInvalid(nil, "There is no team '"+id+"'.")
		}
		// Whoever is invited joins the team, so only those may invite who may add people to it.
		if !c.Principal.Set.Changes("TeamEdit", permission.Target{Space: row.Space}) && !c.Principal.Set.Holds("TeamEdit", "") {
			return problem.Denied("TeamEdit")
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		if !o.Bool("CanChangeMembers") {
			return problem.Invalid("Nobody can be added to the team '" + o.Text("Name") + "'.")
		}
	}
	c.New.Set("InvitationCode", rand.Text())
	c.New.Set("Expires", c.Service.Now().Add(invited))
	return nil
}

func invite(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	d, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("Invitations"), body)
	return collection.Made{Value: d}, err
}

// register makes a user of whoever has the code of an invitation, puts it into the teams that the invitation names, and
// signs it in. A code works once.
func (p *rules) register(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if err := c.Service.MayChange(c.Principal); err != nil {
		return nil, err
	}
	if on, err := p.SignIn.Enabled(c.Context, configuration.UsernamePassword); err != nil {
		return nil, err
	} else if !on {
		return nil, problem.Invalid("Sign-in with a user name and a password is disabled on this server, so nobody can register for it.")
	}
	// Asked before the password is hashed, which is what costs.
	if err := c.Service.Transact(c.Context, system(c), func(change *collection.Change) error {
		_, err := invitation(change, body.Text("InvitationCode"))
		return err
	}); err != nil {
		return nil, err
	}
	password := body.Text("Password")
	if n := len(password); n < 8 || n > 1024 {
		return nil, problem.Invalid("The password must have 8 to 1,024 bytes.")
	}
	hash, err := p.Identity.HashPassword(c.Context, password)
	if err != nil {
		return nil, err
	}
	var id string
	err = c.Service.Transact(c.Context, system(c), func(change *collection.Change) error {
		id, err = admit(change, body)
		if err != nil {
			return err
		}
		return identity.SetPassword(c.Context, change.Tx, id, hash)
	})
	if err != nil {
		return nil, err
	}
	session, err := p.Identity.Start(c.Context, id, false)
	if err != nil {
		return nil, err
	}
	c.Principal = permission.System()
	c.Principal.ID = id // everyone may read oneself
	d, err := c.Service.Get(c.Context, c.Request, c.Service.Kind("Users"), id)
	return collection.Answer{Status: http.StatusOK, Header: p.Cookies(session, strings.HasPrefix(c.Origin, "https:")), Value: d}, err
}

func system(c *collection.Call) collection.Request {
	principal := permission.System()
	principal.Address = c.Address
	return collection.Request{Principal: principal}
}

// invitation finds the invitation with the code.
func invitation(c *collection.Change, code string) (document.Row, error) {
	refused := problem.Invalid("The invitation code is not valid, was used already, or has expired. Please ask for a new invitation.")
	if len(code) < 16 || len(code) > 64 {
		return document.Row{}, refused
	}
	rows, err := c.List(document.Query{Kind: "Invitations", Contains: code})
	if err != nil {
		return document.Row{}, err
	}
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return row, err
		}
		if o.Text("InvitationCode") == code && c.Service.Now().Before(octopus.As[time.Time](o, "Expires")) {
			return row, nil
		}
	}
	return document.Row{}, refused
}

// admit makes the user, adds it to the teams and uses the invitation up.
func admit(c *collection.Change, body octopus.Object) (string, error) {
	row, err := invitation(c, body.Text("InvitationCode"))
	if err != nil {
		return "", err
	}
	display := body.Text("DisplayName")
	if display == "" {
		display = body.Text("Username")
	}
	made, err := c.In("").Create("Users", part.Object(map[string]any{"Username": body.Text("Username"), "DisplayName": display, "EmailAddress": body.Text("EmailAddress")}))
	if err != nil {
		return "", err
	}
	id := made.Text("Id")
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return "", err
	}
	for _, team := range o.Texts("AddToTeamIds") {
		err := c.In(row.Space).Edit("Teams", team, func(o *octopus.Object) error {
			o.Set("MemberUserIds", append(slices.Clone(o.Texts("MemberUserIds")), id))
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return id, c.In(row.Space).Delete("Invitations", row.ID)
}
