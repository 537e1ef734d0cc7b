package spaceserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTaskWaitsForItsTimeAndIsCanceled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		later := fields{"Name": "Health", "Description": "Later", "SpaceId": "Spaces-1", "QueueTime": time.Now().Add(time.Hour)}
		id := w.create("/api/tasks", later).Text("Id")
		if n := len(w.get("/api/tasks?active=true&spaces=Spaces-1").Objects("Items")); n != 1 {
			t.Errorf("%d tasks are active, want one", n)
		}
		if n := len(w.get("/api/tasks?running=true").Objects("Items")); n != 0 {
			t.Errorf("%d tasks run, want none", n)
		}
		if n := len(w.get("/api/tasks?fromQueueDate=" + time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339)).Objects("Items")); n != 0 {
			t.Errorf("%d tasks are queued for later than that, want none", n)
		}
		viewer := w.user("viewer", fields{"UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
		viewer.want(http.StatusForbidden, "POST", "/api/tasks/"+id+"/cancel", nil)
		viewer.want(http.StatusForbidden, "POST", "/api/tasks", later)
		if o := w.want(http.StatusOK, "POST", "/api/spaces/Spaces-1/tasks/"+id+"/cancel", nil); o.Text("State") != "Canceled" || !o.Bool("IsCompleted") {
			t.Errorf("canceled as %s", text(o))
		}
		w.want(http.StatusBadRequest, "POST", "/api/tasks/"+id+"/cancel", nil)
		if n := len(w.get("/api/events?eventCategories=TaskCanceled&regarding=" + id).Objects("Items")); n != 1 {
			t.Errorf("%d events tell that it was canceled", n)
		}
		if o := w.want(http.StatusOK, "POST", "/api/tasks/"+id+"/state", fields{"state": "Success", "reason": "It was done by hand"}); o.Text("State") != "Success" || !o.Bool("FinishedSuccessfully") {
			t.Errorf("set to %s", text(o))
		}
		w.want(http.StatusBadRequest, "POST", "/api/tasks/"+id+"/state", fields{"state": "Queued"})
		again := w.want(http.StatusOK, "POST", "/api/tasks/rerun/"+id, nil)
		if again.Text("Id") == id {
			t.Error("it ran again as itself")
		}
		w.outcome(again.Text("Id"))
		_, log := w.send("GET", "/api/tasks/"+id+"/raw", nil)
		if !strings.Contains(string(log), "The task was canceled before it ran to its end.") {
			t.Errorf("the log says\n%s", log)
		}
	})
}
