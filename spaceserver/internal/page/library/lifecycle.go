package library

import (
	"strconv"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
)

func serveLifecycles(d *visit.Desk, path string) {
	crumbs := func(v *visit.Visit) []design.Crumb {
		return []design.Crumb{{Label: "Lifecycles", Href: v.To(base + "lifecycles")}}
	}
	d.Show(path, func(v *visit.Visit) visit.Page {
		return visit.Page{Title: "Lifecycles", Nav: visit.Library, Tabs: tabs(v, base+"lifecycles"), Intro: "In which order releases go through the environments.", Body: lifecycles(v, v.Page("lifecycles", 50)),
			Actions: add(v, "LifecycleCreate", "Add lifecycle", base+"lifecycles/new")}
	})
	d.Form(path+"/new", func(v *visit.Visit) visit.Page {
		v.Need("LifecycleCreate")
		return visit.Page{Title: "New lifecycle", Nav: visit.Library, Crumbs: crumbs(v), Body: lifecycleForm(v, octopus.Object{})}
	}, func(v *visit.Visit) (string, string) {
		o := octopus.Object{}
		readLifecycle(v, &o)
		made := v.Post("lifecycles", o)
		return v.To(base+"lifecycles", made.Text("Id")), "Created the lifecycle " + made.Text("Name") + "."
	})
	show := func(v *visit.Visit) visit.Page {
		o := v.Get("lifecycles/" + v.Path("id"))
		return visit.Page{Title: o.Text("Name"), Intro: o.Text("Description"), Nav: visit.Library, Crumbs: crumbs(v), Body: lifecycleForm(v, o)}
	}
	d.Form(path+"/{id}", show, func(v *visit.Visit) (string, string) {
		o := v.Get("lifecycles/" + v.Path("id"))
		readLifecycle(v, &o)
		v.Put("lifecycles/"+v.Path("id"), o)
		return v.To(base+"lifecycles", v.Path("id")), "Saved."
	})
	d.Do(path+"/{id}/delete", show, func(v *visit.Visit) (string, string) {
		v.Delete("lifecycles/" + v.Path("id"))
		return v.To(base + "lifecycles"), "Deleted the lifecycle."
	})
}

// phases are those of the lifecycle, and an empty one to be filled.
func phases(o octopus.Object) []octopus.Object { return append(o.Objects("Phases"), octopus.Object{}) }

// readLifecycle reads the form. A phase whose name was taken away is deleted.
func readLifecycle(v *visit.Visit, o *octopus.Object) {
	o.Set("Name", v.Form("Name"))
	o.Set("Description", v.Text("Description"))
	list := []octopus.Object{}
	for i, p := range phases(*o) {
		n := strconv.Itoa(i)
		if v.Form("Phase"+n) == "" {
			continue
		}
		p.Set("Name", v.Form("Phase"+n))
		p.Set("AutomaticDeploymentTargets", v.Forms("Automatic"+n))
		p.Set("OptionalDeploymentTargets", v.Forms("Optional"+n))
		p.Set("IsOptionalPhase", v.Flag("Skippable"+n))
		minimum, err := strconv.Atoi(v.Form("Minimum" + n))
		if err != nil && v.Form("Minimum"+n) != "" {
			v.Refuse("How many environments are needed must be a whole number.")
		}
		p.Set("MinimumEnvironmentsBeforePromotion", minimum)
		list = append(list, p)
	}
	o.Set("Phases", list)
	keep, err := strconv.Atoi(v.Form("Keep"))
	if err != nil && v.Form("Keep") != "" {
		v.Refuse("How many releases are kept must be a whole number.")
	}
	policy := map[string]any{"Strategy": "Forever", "ShouldKeepForever": true, "Unit": "Items", "QuantityToKeep": 0}
	if keep > 0 {
		policy = map[string]any{"Strategy": "Count", "ShouldKeepForever": false, "Unit": unit(v.Form("Unit")), "QuantityToKeep": keep}
	}
	o.Set("ReleaseRetentionPolicy", policy)
}

func unit(text string) string {
	if text == "Days" {
		return text
	}
	return "Items"
}

// kept is how many releases a lifecycle keeps, as text; "" for all.
func kept(o octopus.Object) string {
	policy := o.Object("ReleaseRetentionPolicy")
	if n := policy.Int("QuantityToKeep"); n > 0 && !policy.Bool("ShouldKeepForever") {
		return strconv.FormatInt(n, 10)
	}
	return ""
}
