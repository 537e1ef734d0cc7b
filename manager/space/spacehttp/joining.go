package spacehttp

import (
	"fmt"
	"net/url"
	"strings"

	"odcm"
	"odcm/api"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// What enlisting does beside the Spaces: people and sign-in.

func plannedPeople(p space.PeoplePlan) api.PlannedPeople {
	return api.PlannedPeople{Touched: p.Touched(), Matched: plannedAccounts(p.Matched), Conflicts: plannedAccounts(p.Conflicts),
		Unmatched: plannedAccounts(p.Unmatched), Untouched: p.Untouched, Notes: notes(p.Notes)}
}

func plannedAccounts(all []space.PlannedAccount) []api.PlannedAccount {
	out := make([]api.PlannedAccount, len(all))
	for i, a := range all {
		out[i] = api.PlannedAccount{Account: a.ID, Username: a.Username, DisplayName: a.DisplayName, Email: a.Email, Active: a.Active,
			Person: string(a.Person), PersonName: a.PersonName, Because: a.Because}
		for _, c := range a.Between {
			out[i].Between = append(out[i].Between, api.AccountCandidate{ID: string(c.ID), Name: c.Name})
		}
	}
	return out
}

func plannedSignIn(p space.SignInPlan) api.PlannedSignIn {
	out := api.PlannedSignIn{Pointed: p.Pointed, Provider: p.Provider, Possible: p.Possible, Proposed: p.Proposed, Passwords: p.Passwords, LeadsOn: p.LeadsOn,
		Settings: []api.SettingChange{}, Changes: notes(p.Changes)}
	for _, s := range p.Settings {
		out.Settings = append(out.Settings, api.SettingChange(s))
	}
	return out
}

func accountChoices(all []api.AccountChoice) []space.AccountChoice {
	out := make([]space.AccountChoice, len(all))
	for i, c := range all {
		out[i] = space.AccountChoice{Account: c.Account, Do: c.Do, Person: odcm.UserID(c.Person)}
	}
	return out
}

// Fields of the plan's form. What becomes of an account is one field: "link/<person>" or another deed.
const accountField = "account-"

func readPlan(form url.Values, e *space.Enlistment) {
	e.SignIn = space.SignInOff
	if form.Get("signIn") == "on" {
		e.SignIn = space.SignInOn
	}
	e.ClosePasswords, e.Replace, e.LeadOn = form.Get("closePasswords") == "on", form.Get("replaceSignIn") == "on", form.Get("leadOn") == "on"
	if !form.Has("signInAsked") { // the plan had nothing to ask
		e.SignIn, e.SignInOptions = space.SignInDefault, space.SignInOptions{}
	}
	for name, values := range form {
		id, is := strings.CutPrefix(name, accountField)
		if !is || values[0] == "" {
			continue
		}
		do, person, _ := strings.Cut(values[0], "/")
		e.People = append(e.People, space.AccountChoice{Account: id, Do: do, Person: odcm.UserID(person)})
	}
}

// doings are what can become of an account, for a select.
func doings(a space.PlannedAccount) []design.Option {
	var options []design.Option
	switch {
	case a.Person != "":
		options = append(options, design.Option{Value: "", Label: "Is " + a.PersonName, On: true})
	default:
		options = append(options, design.Option{Value: "", Label: "Decide later", On: true})
	}
	for _, c := range a.Between {
		options = append(options, design.Option{Value: "link/" + string(c.ID), Label: "Is " + c.Name})
	}
	options = append(options, design.Option{Value: "local", Label: "Leave to that server for good"})
	if a.Person == "" && len(a.Between) == 0 {
		if a.Email != "" {
			options = append(options, design.Option{Value: "invite", Label: "Invite " + a.Email})
		}
		options = append(options, design.Option{Value: "create", Label: "Make a person of it"})
	}
	return options
}

func accountName(a space.PlannedAccount) string {
	name := a.Username
	if a.DisplayName != "" && a.DisplayName != a.Username {
		name = a.DisplayName + " (" + a.Username + ")"
	}
	if !a.Active {
		name += ", disabled"
	}
	return name
}

func peopleSummary(p space.PeoplePlan) string {
	text := "No account is known to ODCM"
	if n := len(p.Matched); n > 0 {
		text = count(n, "account is", "accounts are") + " known to ODCM"
	}
	if n := len(p.Conflicts); n > 0 {
		text += fmt.Sprintf(", %s a decision", count(n, "needs", "need"))
	}
	if n := len(p.Unmatched); n > 0 {
		text += fmt.Sprintf(", %s nobody's", count(n, "is", "are"))
	}
	if p.Untouched > 0 {
		text += "; " + count(p.Untouched, "account of a service or of the API key stays as it is", "accounts of services and of the API key stay as they are")
	}
	return text + "."
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func shownSettings(all []space.SettingChange) []design.Fact {
	facts := make([]design.Fact, len(all))
	for i, s := range all {
		facts[i] = design.Fact{Label: s.Name, Value: orDash(s.From) + " → " + orDash(s.To)}
	}
	return facts
}

// some are as many accounts as one form shows.
func some(all []space.PlannedAccount) []space.PlannedAccount { return all[:min(100, len(all))] }

func orDash(text string) string {
	if text == "" {
		return "empty"
	}
	return text
}
