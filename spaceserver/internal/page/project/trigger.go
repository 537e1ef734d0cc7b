package project

import (
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

func serveTriggers(d *visit.Desk, base string) {
	show := func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		return within.Page(v, p, within.Triggers, visit.Page{Body: triggers(v, p, v.All("projects/"+p.Text("Id")+"/triggers/all"))})
	}
	d.Show(base, show)
	d.Form(base+"/new", func(v *visit.Visit) visit.Page {
		p := within.Project(v)
		v.Need("TriggerCreate")
		return within.Below(v, p, within.Triggers, "triggers", visit.Page{Title: "New trigger", Body: triggerForm(v, p, v.Maybe("projects/"+p.Text("Id")+"/runbooks/all"))})
	}, createTrigger)
	d.Do(base+"/{trigger}/switch", show, func(v *visit.Visit) (string, string) {
		o := v.Get("projecttriggers/" + v.Path("trigger"))
		o.Set("IsDisabled", !o.Bool("IsDisabled"))
		v.Put("projecttriggers/"+v.Path("trigger"), o)
		return within.Path(v, within.Project(v), "triggers"), "Saved."
	})
	d.Do(base+"/{trigger}/delete", show, func(v *visit.Visit) (string, string) {
		v.Delete("projecttriggers/" + v.Path("trigger"))
		return within.Path(v, within.Project(v), "triggers"), "Deleted the trigger."
	})
}

// createTrigger makes a scheduled trigger: at times that a cron expression says, a release is deployed or a runbook is run
// (CronTriggerFilter, DeployLatestReleaseAction and RunRunbookAction in go-octopusdeploy).
func createTrigger(v *visit.Visit) (string, string) {
	p := within.Project(v)
	action := map[string]any{"ActionType": v.Form("ActionType")}
	switch v.Form("ActionType") {
	case "DeployLatestRelease":
		action["SourceEnvironmentIds"] = v.Forms("SourceEnvironmentIds")
		action["DestinationEnvironmentId"] = v.Form("DestinationEnvironmentId")
		action["ShouldRedeployWhenReleaseIsCurrent"] = v.Flag("Redeploy")
	case "DeployNewRelease":
		action["EnvironmentId"] = v.Form("DestinationEnvironmentId")
	case "RunRunbook":
		action["RunbookId"] = v.Form("RunbookId")
		action["EnvironmentIds"] = []string{v.Form("DestinationEnvironmentId")}
	}
	v.Post("projecttriggers", map[string]any{"Name": v.Form("Name"), "Description": v.Text("Description"), "ProjectId": p.Text("Id"),
		"Filter": map[string]any{"FilterType": "CronExpressionSchedule", "CronExpression": v.Form("CronExpression"), "Timezone": v.Form("Timezone")}, "Action": action})
	return within.Path(v, p, "triggers"), "Created the trigger."
}

// does tells in words what a trigger does.
func does(o octopus.Object) string {
	switch o.Object("Action").Text("ActionType") {
	case "DeployLatestRelease":
		return "Deploys the latest release"
	case "DeployNewRelease":
		return "Creates and deploys a release"
	case "RunRunbook":
		return "Runs a runbook"
	case "AutoDeploy":
		return "Deploys to new targets"
	case "CreateRelease":
		return "Creates a release"
	}
	return o.Object("Action").Text("ActionType")
}

// when tells in words when a trigger fires.
func fires(o octopus.Object) string {
	f := o.Object("Filter")
	switch f.Text("FilterType") {
	case "CronExpressionSchedule":
		return f.Text("CronExpression") + " " + f.Text("Timezone")
	case "OnceDailySchedule":
		return "Once a day"
	case "ContinuousDailySchedule":
		return "Through the day"
	case "DaysPerMonthSchedule":
		return "On days of the month"
	case "MachineFilter":
		return "When a target changes"
	case "FeedFilter":
		return "When a package is pushed"
	}
	return strings.TrimSuffix(f.Text("FilterType"), "Schedule")
}
