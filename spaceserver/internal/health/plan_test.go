package health

import (
	"strings"
	"testing"
	"time"

	"odcm/octopus"
)

func object(t *testing.T, text string) octopus.Object {
	t.Helper()
	o, err := octopus.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhenAPolicyWantsTheNextCheck(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for policy, want := range map[string]time.Time{
		`{"HealthCheckInterval":"01:00:00"}`:   now.Add(time.Hour),
		`{"HealthCheckInterval":"1.02:00:30"}`: now.Add(26*time.Hour + 30*time.Second),
		`{"HealthCheckInterval":null}`:         {},
		`{"HealthCheckInterval":"00:00:00"}`:   {},
		`{"HealthCheckInterval":"often"}`:      {},
		`{}`:                                   {},
		`{"HealthCheckCron":"0 0 9 * * *","HealthCheckCronTimezone":"UTC","HealthCheckInterval":"01:00:00"}`: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		`{"HealthCheckCron":"at nine","HealthCheckCronTimezone":"UTC","HealthCheckInterval":"01:00:00"}`:     {},
	} {
		if got := next(object(t, policy), now); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
	}
}

func TestWhatAPolicyRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy        string
		standard, own bool
	}{
		"the standard":        {`{"BashHealthCheckPolicy":{"RunType":"InheritFromDefault","ScriptBody":"own"},"HealthCheckType":"RunScript"}`, true, false},
		"its own behind that": {`{"BashHealthCheckPolicy":{"RunType":"Inline","ScriptBody":"own words"},"HealthCheckType":"RunScript"}`, true, true},
		"nothing":             {`{"BashHealthCheckPolicy":{"RunType":"Inline","ScriptBody":"own words"},"HealthCheckType":"OnlyConnectivity"}`, false, false},
		"nothing by bash":     {`{"BashHealthCheckPolicy":{"RunType":"OnlyConnectivity","ScriptBody":"own words"},"HealthCheckType":"RunScript"}`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := body(object(t, c.policy))
			if strings.Contains(text, "fail_healthcheck") != c.standard || strings.Contains(text, "own words") != c.own {
				t.Errorf("it runs\n%s", text)
			}
		})
	}
}

func TestWhichMachinesATaskMeans(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		`{}`: "",
		`{"MachineIds":["Machines-1","Machines-2"]}`:                "Machines-1,Machines-2",
		`{"MachineIds":"Machines-1, Machines-2"}`:                   "Machines-1,Machines-2",
		`{"EnvironmentId":"Environments-1"}`:                        "Machines",
		`{"RestrictedTo":"Workers"}`:                                "Workers",
		`{"WorkerpoolId":"WorkerPools-1"}`:                          "Workers",
		`{"RestrictedTo":"DeploymentTargets","EnvironmentId":null}`: "Machines",
	} {
		c := choice(object(t, arguments))
		if got := strings.Join(append(c.IDs, c.Kinds...), ","); got != want || c.Disabled != (len(c.IDs) > 0) {
			t.Errorf("%s means %+v", arguments, c)
		}
	}
}
