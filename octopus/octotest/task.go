package octotest

import (
	"slices"
	"strings"
	"time"

	"odcm/octopus"
)

// taskEnds is how long a task may take that checks the health of no target.
const taskEnds = 30 * time.Second

// ended waits until a task has ended, and returns it as it is then.
func (s *session) ended(o octopus.Object) octopus.Object {
	path := s.in("tasks") + "/" + o.ID()
	deadline := time.Now().Add(taskEnds)
	for slices.Contains([]string{"Queued", "Executing", "Cancelling"}, o.Text("State")) && !o.Bool("IsCompleted") {
		if time.Now().After(deadline) {
			s.fatalf("GET %s: %s after %s", path, o.Text("State"), taskEnds)
		}
		if listed := s.get(s.in("tasks") + "?active=true&ids=" + o.ID()).Objects("Items"); len(listed) > 1 {
			s.problemf("GET tasks?active=true&ids=%s: %d tasks", o.ID(), len(listed))
		}
		<-time.After(20 * time.Millisecond)
		o = s.get(path)
	}
	return o
}

// taskLife follows a task to its end, and asks of it what clients ask: its log in both forms, who is ahead of it, to end and
// to run again.
func (s *session) taskLife() {
	o := s.post(s.in("tasks"), fields{"Name": "Health", "Description": s.name("Check"), "SpaceId": s.server.Space, "Arguments": fields{"MachineIds": []string{}}})
	path := s.in("tasks") + "/" + o.ID()
	o = s.ended(o)
	if ended := o.Text("State"); o.Bool("FinishedSuccessfully") != (ended == "Success") || o.Text("CompletedTime") == "" || o.Text("Duration") == "" || o.Text("StartTime") == "" || o.Text("ServerNode") == "" {
		s.problemf("GET %s: ended as %s with %s", path, ended, encode(o))
	}
	if n := len(s.get(s.in("tasks") + "?active=true&ids=" + o.ID()).Objects("Items")); n != 0 {
		s.problemf("GET tasks?active=true: has a task that ended")
	}
	if n := len(s.get(s.in("tasks") + "?states=" + o.Text("State") + "&ids=" + o.ID()).Objects("Items")); n != 1 {
		s.problemf("GET tasks?states=%s: has not the task that ended so", o.Text("State"))
	}
	details := s.get(path + "/details?verbose=true&tail=20")
	if logs := details.Objects("ActivityLogs"); len(logs) != 1 || logs[0].Text("Status") == "Running" || logs[0].Text("Status") == "Pending" || logs[0].Text("Id") == "" {
		s.problemf("GET %s/details: the log of a task that ended is %s", path, encode(logs))
	}
	if percent := details.Object("Progress").Int("ProgressPercentage"); percent != 100 {
		s.problemf("GET %s/details: %d per cent of a task that ended", path, percent)
	}
	raw := s.want(s.send(request{method: "GET", path: path + "/raw"}), 200)
	if !strings.Contains(string(raw.body), o.ID()) || !strings.HasPrefix(raw.header.Get("Content-Type"), "text/plain") {
		s.problemf("GET %s/raw: %s %.200q", path, raw.header.Get("Content-Type"), raw.body)
	}
	if n := len(octopus.Page{Object: s.get(path + "/queued-behind")}.Items()); n != 0 {
		s.problemf("GET %s/queued-behind: %d tasks ahead of one that ended", path, n)
	}
	s.want(s.send(request{method: "POST", path: path + "/cancel"}), 400)
	again := s.post(s.in("tasks/rerun/"+o.ID()), nil)
	if again.ID() == o.ID() || again.Text("Name") != o.Text("Name") {
		s.problemf("POST tasks/rerun: %s", encode(again))
	}
	s.want(s.send(request{method: "POST", path: s.in("tasks"), body: fields{"Name": "", "SpaceId": s.server.Space}}), 400)
}
