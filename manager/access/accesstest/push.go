package accesstest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
)

// PushStore holds an empty [roster.Store] to its promises.
func PushStore(t *testing.T, s roster.Store) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	event := odcm.NewEvent(odcm.System, "account.test", "x", "x", nil, nil)

	// The state of a Space.
	state, err := s.PushOf(ctx, "space-1")
	must(err)
	if want := (roster.PushState{Space: "space-1", Policy: roster.Repair}); !reflect.DeepEqual(state, want) {
		t.Errorf("before the first push: %+v", state)
	}
	state = roster.PushState{Space: "space-1", Instance: "instance-1", Policy: roster.Leave, Wanted: "w", Revision: 3, Done: 2, Applied: now, Looked: now, Latest: "Events-7",
		Failure: "no", Revoke: 1500 * time.Millisecond, Making: []odcm.UserID{"user-1"}}
	must(s.SavePush(ctx, roster.PushState{Space: "space-1"}))
	must(s.SavePush(ctx, state, event))
	if got, err := s.PushOf(ctx, "space-1"); err != nil || !reflect.DeepEqual(got, state) {
		t.Errorf("got %+v, %v, want %+v", got, err, state)
	}

	// Accounts.
	rows := []roster.Account{
		{Instance: "instance-1", ID: "Users-1", Username: "a", Person: "user-1", Decision: roster.ByHand, Origin: roster.Found, Managed: true, Active: true, Applied: "d", Previous: []byte(`{"Id":"Users-1"}`), Changed: now},
		{Instance: "instance-1", ID: "Users-2", Username: "b", Decision: roster.AsLocal, Origin: roster.Found, Changed: now},
	}
	must(s.SaveAccounts(ctx, rows, event))
	must(s.SaveAccounts(ctx, rows)) // again
	must(s.SaveAccounts(ctx, nil))
	if got, err := s.Accounts(ctx, "instance-1"); err != nil || !reflect.DeepEqual(got, rows) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.SaveAccounts(ctx, []roster.Account{{Instance: "instance-1", ID: "Users-3", Person: "user-1"}}); err == nil {
		t.Error("one person has two accounts on one server")
	}
	must(s.SaveAccounts(ctx, []roster.Account{{Instance: "instance-2", ID: "Users-1", Person: "user-1", Changed: now}}))
	must(s.DropAccounts(ctx, "instance-1", []string{"Users-2", "Users-9"}))
	must(s.DropAccounts(ctx, "instance-1", nil))
	if got, err := s.Accounts(ctx, "instance-1"); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}

	// Teams.
	team := roster.TeamState{Space: "space-1", Team: "Teams-1", Name: "T", Members: []string{"Users-1"}, Groups: []string{"group-1"}, Kept: []string{"Users-5"}, Previous: []string{"Users-5"}, Mapped: true,
		Drift: roster.TeamDrift{Added: []roster.DriftMember{{Account: "Users-9", Name: "n"}}}, Drifted: now, Repaired: now, Repairs: 2, Failure: "f"}
	must(s.SaveTeamState(ctx, roster.TeamState{Space: "space-1", Team: "Teams-1"}))
	must(s.SaveTeamState(ctx, team))
	must(s.SaveTeamState(ctx, roster.TeamState{Space: "space-2", Team: "Teams-1"}))
	if got, err := s.TeamStates(ctx, "space-1"); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], team) {
		t.Errorf("got %+v, %v", got, err)
	}

	// Acknowledgements, more than one statement takes.
	var many []roster.Acknowledgement
	for i := range 1234 {
		many = append(many, roster.Acknowledgement{Space: "space-1", Person: odcm.UserID(fmt.Sprintf("user-%04d", i)), Enter: true, Wish: "w", State: access.Pending, Since: now, Revision: 1})
	}
	must(s.SaveAcknowledgements(ctx, many))
	for i := range many[10:] {
		many[10+i].State, many[10+i].Applied = access.Applied, now
	}
	must(s.SaveAcknowledgements(ctx, many[10:]))
	if got, err := s.Acknowledgements(ctx, "space-1", nil); err != nil || !reflect.DeepEqual(got, many) {
		t.Errorf("%d rows, %v", len(got), err)
	}
	if got, err := s.Unarrived(ctx, "space-1"); err != nil || !reflect.DeepEqual(got, many[:10]) {
		t.Errorf("%d rows that did not arrive, %v", len(got), err)
	}
	var ids []odcm.UserID
	for _, a := range many {
		ids = append(ids, a.Person)
	}
	if got, err := s.Acknowledgements(ctx, "space-1", append(ids[:700:700], "user-x")); err != nil || len(got) != 700 {
		t.Errorf("%d of those asked for, %v", len(got), err)
	}
	if got, err := s.Acknowledgements(ctx, "space-1", []odcm.UserID{}); err != nil || len(got) != 0 {
		t.Errorf("%d of nobody, %v", len(got), err)
	}

	elsewhere := roster.Acknowledgement{Space: "space-0", Person: "user-0007", State: access.Failed, Reason: "no", Since: now, Revision: 2}
	must(s.SaveAcknowledgements(ctx, []roster.Acknowledgement{elsewhere, {Space: "space-2", Person: "user-0007", State: access.Pending, Since: now}}))
	if got, err := s.OfPerson(ctx, "user-0007", []odcm.SpaceID{"space-1", "space-0", "space-9"}); err != nil || !reflect.DeepEqual(got, []roster.Acknowledgement{elsewhere, many[7]}) {
		t.Errorf("one person's: %+v, %v", got, err)
	}
	if got, err := s.OfPerson(ctx, "user-0007", nil); err != nil || len(got) != 0 {
		t.Errorf("one person's nowhere: %+v, %v", got, err)
	}

	// Troubles: elsewhere are two who were not let go; space-1, to which pushing fails, has one who was.
	many[20].Enter, many[20].Since, many[20].Applied = false, now.Add(-5*time.Second), now.Add(-time.Second)
	must(s.SaveAcknowledgements(ctx, many[20:21]))
	must(s.SavePush(ctx, roster.PushState{Space: "space-3", Instance: "instance-2", Failure: "no answer", Applied: now.Add(-time.Hour), Looked: now.Add(-time.Minute)}))
	troubles := []roster.Trouble{{Space: "space-0", Revoke: 30 * time.Second}, {Space: "space-1", Failing: now, Revoke: 4 * time.Second}, {Space: "space-2", Revoke: 30 * time.Second},
		{Space: "space-3", Failing: now.Add(-time.Minute)}}
	if got, err := s.Troubles(ctx, now.Add(-time.Minute), now.Add(30*time.Second)); err != nil || !reflect.DeepEqual(got, troubles) {
		t.Errorf("troubles: %+v, %v", got, err)
	}
	if got, err := s.Troubles(ctx, now, now.Add(30*time.Second)); err != nil || len(got) != 4 || got[1].Revoke != 0 {
		t.Errorf("troubles without what was long ago: %+v, %v", got, err)
	}

	// Forgetting.
	must(s.ForgetSpace(ctx, "space-1"))
	must(s.ForgetInstance(ctx, "instance-1"))
	left, err1 := s.Acknowledgements(ctx, "space-1", nil)
	teams, err2 := s.TeamStates(ctx, "space-1")
	accounts, err3 := s.Accounts(ctx, "instance-1")
	others, err4 := s.Accounts(ctx, "instance-2")
	must(err1)
	must(err2)
	must(err3)
	must(err4)
	if len(left)+len(teams)+len(accounts) != 0 || len(others) != 1 {
		t.Errorf("left: %v %v %v %v", left, teams, accounts, others)
	}
}
