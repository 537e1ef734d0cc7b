package project

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

func serveRunbooks(d *visit.Desk, base string) {
	d.Show(base, func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		return within.Page(v, p, within.Runbooks, visit.Page{Body: runbooks(v, p, v.All("projects/"+p.Text("Id")+"/runbooks/all"))})
	})
	d.Form(base+"/new", func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		v.Need("RunbookEdit")
		return within.Below(v, p, within.Runbooks, "runbooks", visit.Page{Title: "New runbook", Body: runbookForm(v, p, octopus.Object{})})
	}, func(v *visit.Visit) (string, string) {
		p := within.Project(v)
		made := v.Post("runbooks", map[string]any{"Name": v.Form("Name"), "Description": v.Text("Description"), "ProjectId": p.Text("Id"), "MultiTenancyMode": v.Form("MultiTenancyMode"),
			"EnvironmentScope": scope(v), "Environments": v.Forms("Environments"), "DefaultGuidedFailureMode": v.Form("DefaultGuidedFailureMode")})
		return within.Path(v, p, "runbooks", made.Text("Id"), "process"), "Created the runbook " + made.Text("Name") + "."
	})
	d.Show(base+"/{runbook}", oneRunbook)
	d.Form(base+"/{runbook}/settings", func(v *visit.Visit) visit.Page {
		p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
		return below(v, p, o, visit.Page{Title: "Settings of " + o.Text("Name"), Body: runbookForm(v, p, o)})
	}, func(v *visit.Visit) (string, string) {
		p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
		o.Set("Name", v.Form("Name"))
		o.Set("Description", v.Text("Description"))
		o.Set("MultiTenancyMode", v.Form("MultiTenancyMode"))
		o.Set("DefaultGuidedFailureMode", v.Form("DefaultGuidedFailureMode"))
		o.Set("EnvironmentScope", scope(v))
		o.Set("Environments", v.Forms("Environments"))
		v.Put("runbooks/"+o.Text("Id"), o)
		return within.Path(v, p, "runbooks", o.Text("Id")), "Saved."
	})
	d.Do(base+"/{runbook}/delete", oneRunbook, func(v *visit.Visit) (string, string) {
		v.Delete("runbooks/" + v.Path("runbook"))
		return within.Path(v, within.Project(v), "runbooks"), "Deleted the runbook."
	})
	d.Do(base+"/{runbook}/snapshots", oneRunbook, snapshot)
	d.Do(base+"/{runbook}/snapshots/{snapshot}/publish", oneRunbook, func(v *visit.Visit) (string, string) {
		o := v.Get("runbooks/" + v.Path("runbook"))
		o.Set("PublishedRunbookSnapshotId", v.Path("snapshot"))
		v.Put("runbooks/"+o.Text("Id"), o)
		return within.Path(v, within.Project(v), "runbooks", o.Text("Id")), "Published."
	})
	d.Form(base+"/{runbook}/run", runPage, run)
}

// scope is the environments that a runbook can be run in: those that were chosen, or all.
func scope(v *visit.Visit) string {
	if len(v.Forms("Environments")) > 0 {
		return "Specified"
	}
	return "All"
}

func below(v *visit.Visit, p, o octopus.Object, page visit.Page) visit.Page {
	page = within.Below(v, p, within.Runbooks, "runbooks", page)
	if o.Text("Id") != "" {
		page.Crumbs[1].Label, page.Crumbs[1].Href = o.Text("Name"), within.Path(v, p, "runbooks", o.Text("Id"))
	}
	return page
}

func oneRunbook(v *visit.Visit) visit.Page {
	p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
	id := o.Text("Id")
	steps := v.Try("runbookProcesses/" + o.Text("RunbookProcessId")).Objects("Steps")
	snapshots := v.Try("runbooks/" + id + "/runbookSnapshots?take=20").Objects("Items")
	runs := v.Try("/tasks?take=10&name=RunbookRun&runbook=" + id + "&spaces=" + v.Space.ID + "&includeSystem=false").Objects("Items")
	return within.Below(v, p, within.Runbooks, "runbooks", visit.Page{Title: o.Text("Name"), Intro: o.Text("Description"), Actions: runbookActions(v, p, o, len(steps) > 0), Body: runbookBody(v, p, o, steps, snapshots, runs)})
}

// snapshot keeps the process and variables as they are now. A published one is what triggers and those who may only run it run.
func snapshot(v *visit.Visit) (string, string) {
	p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
	suggested := v.Get("runbookProcesses/" + o.Text("RunbookProcessId") + "/runbookSnapshotTemplate")
	path := "runbookSnapshots"
	if v.Flag("publish") {
		path += "?publish=true"
	}
	made := v.Post(path, map[string]any{"Name": suggested.Text("NextNameIncrement"), "ProjectId": p.Text("Id"), "RunbookId": o.Text("Id"), "SelectedPackages": latest(v, suggested.Objects("Packages"))})
	return within.Path(v, p, "runbooks", o.Text("Id")), "Took the snapshot " + made.Text("Name") + "."
}

// latest chooses the newest version of each package.
func latest(v *visit.Visit, packages []octopus.Object) []map[string]any {
	list := []map[string]any{}
	for _, p := range packages {
		if !p.Bool("IsResolvable") && p.Has("IsResolvable") {
			continue
		}
		versions := v.Get("feeds/" + p.Text("FeedId") + "/packages/versions?take=1&packageId=" + escape(p.Text("PackageId"))).Objects("Items")
		if len(versions) == 0 {
			v.Refuse("There is no version of the package " + p.Text("PackageId") + " yet: push one first.")
			return nil
		}
		list = append(list, map[string]any{"ActionName": p.Text("ActionName"), "StepName": p.Text("StepName"), "PackageReferenceName": p.Text("PackageReferenceName"), "Version": versions[0].Text("Version")})
	}
	return list
}

func runPage(v *visit.Visit) visit.Page {
	p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
	v.Need("RunbookRunCreate")
	return below(v, p, o, visit.Page{Title: "Run " + o.Text("Name"), Body: runForm(v, p, o, v.Maybe("environments/all"), v.Maybe("tenants/all"), v.Try("runbooks/"+o.Text("Id")+"/runbookSnapshots?take=20").Objects("Items"))})
}

func run(v *visit.Visit) (string, string) {
	p, o := within.Project(v), v.Get("runbooks/"+v.Path("runbook"))
	chosen := v.Form("RunbookSnapshotId")
	if chosen == "" { // as it is now
		suggested := v.Get("runbookProcesses/" + o.Text("RunbookProcessId") + "/runbookSnapshotTemplate")
		chosen = v.Post("runbookSnapshots", map[string]any{"Name": suggested.Text("NextNameIncrement"), "ProjectId": p.Text("Id"), "RunbookId": o.Text("Id"), "SelectedPackages": latest(v, suggested.Objects("Packages"))}).Text("Id")
	}
	environments, tenants := v.Forms("EnvironmentIds"), v.Forms("TenantIds")
	if len(environments) == 0 {
		v.Refuse("Please choose at least one environment.")
	}
	if len(tenants) == 0 {
		tenants = []string{""}
	}
	var made octopus.Object
	for _, environment := range environments {
		for _, tenant := range tenants {
			made = v.Post("runbookRuns", map[string]any{"ProjectId": p.Text("Id"), "RunbookId": o.Text("Id"), "RunbookSnapshotId": chosen, "EnvironmentId": environment, "TenantId": orNull(tenant),
				"UseGuidedFailure": v.Flag("UseGuidedFailure"), "Comments": v.Text("Comments")})
		}
	}
	if len(environments)*len(tenants) > 1 {
		return within.Path(v, p, "runbooks", o.Text("Id")), "The runs are queued."
	}
	return "/tasks/" + made.Text("TaskId"), ""
}

// runEnvironments are those that the runbook can be run in.
func runEnvironments(o octopus.Object, all []octopus.Object) []octopus.Object {
	if o.Text("EnvironmentScope") != "Specified" {
		return all
	}
	var list []octopus.Object
	for _, id := range o.Texts("Environments") {
		for _, e := range all {
			if e.Text("Id") == id {
				list = append(list, e)
			}
		}
	}
	return list
}
