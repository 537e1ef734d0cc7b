package project

import (
	"strconv"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

func serveChannels(d *visit.Desk, base string) {
	d.Show(base, func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		return within.Page(v, p, within.Channels, visit.Page{Body: channels(v, p, v.All("projects/"+p.Text("Id")+"/channels/all"))})
	})
	d.Form(base+"/new", func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		v.Need("ProcessEdit")
		return within.Below(v, p, within.Channels, "channels", visit.Page{Title: "New channel", Body: channelForm(v, p, octopus.Object{})})
	}, func(v *visit.Visit) (string, string) {
		p := within.Project(v)
		o, err := octopus.NewObject(map[string]any{"ProjectId": p.Text("Id")})
		v.Fail(err)
		readChannel(v, &o)
		v.Post("channels", o)
		return within.Path(v, p, "channels"), "Created the channel " + o.Text("Name") + "."
	})
	show := func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		o := v.Get("channels/" + v.Path("channel"))
		return within.Below(v, p, within.Channels, "channels", visit.Page{Title: o.Text("Name"), Body: channelForm(v, p, o)})
	}
	d.Form(base+"/{channel}", show, func(v *visit.Visit) (string, string) {
		o := v.Get("channels/" + v.Path("channel"))
		readChannel(v, &o)
		v.Put("channels/"+v.Path("channel"), o)
		return within.Path(v, within.Project(v), "channels"), "Saved."
	})
	d.Do(base+"/{channel}/delete", show, func(v *visit.Visit) (string, string) {
		v.Delete("channels/" + v.Path("channel"))
		return within.Path(v, within.Project(v), "channels"), "Deleted the channel."
	})
}

// ruleRows is how many rules the form has room for beside those that there are.
const ruleRows = 1

// rules are those of the channel, and an empty one to be filled.
func rules(o octopus.Object) []octopus.Object {
	list := o.Objects("Rules")
	for range ruleRows {
		list = append(list, octopus.Object{})
	}
	return list
}

func readChannel(v *visit.Visit, o *octopus.Object) {
	o.Set("Name", v.Form("Name"))
	o.Set("Description", v.Text("Description"))
	o.Set("LifecycleId", orNull(v.Form("LifecycleId")))
	o.Set("IsDefault", o.Bool("IsDefault") || v.Flag("IsDefault"))
	o.Set("TenantTags", v.Lines("TenantTags"))
	list := []octopus.Object{}
	for i, rule := range rules(*o) {
		n := strconv.Itoa(i)
		actions := v.Lines("Steps" + n)
		if len(actions) == 0 {
			continue
		}
		packages := []map[string]any{}
		for _, action := range actions {
			packages = append(packages, map[string]any{"DeploymentAction": action, "PackageReference": ""})
		}
		rule.Set("ActionPackages", packages)
		rule.Set("VersionRange", v.Form("VersionRange"+n))
		rule.Set("Tag", v.Form("Tag"+n))
		list = append(list, rule)
	}
	o.Set("Rules", list)
}

func ruleSteps(rule octopus.Object) string {
	text := ""
	for i, p := range rule.Objects("ActionPackages") {
		if i > 0 {
			text += ", "
		}
		text += p.Text("DeploymentAction")
	}
	return text
}

func tenantCount(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return strconv.Itoa(n) + " tenants"
}

func lifecycleOptions(v *visit.Visit) []design.Option {
	return append([]design.Option{{Label: "The project's"}}, visit.Options(v.Maybe("lifecycles/all"))...)
}
