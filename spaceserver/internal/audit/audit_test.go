package audit

import (
	"slices"
	"strings"
	"testing"

	"odcm/spaceserver/internal/document"
)

func TestGroupsAreOfKnownCategories(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, c := range Categories() {
		if slices.Contains(ids, c.ID) || c.ID == "" || c.Name == "" {
			t.Errorf("category %q is there twice or has no name", c.ID)
		}
		ids = append(ids, c.ID)
	}
	for _, g := range Groups() {
		for _, id := range g.Categories {
			if !slices.Contains(ids, id) {
				t.Errorf("group %s: there is no category %s", g.ID, id)
			}
		}
	}
	if got := In([]string{"document", "nothing"}); !slices.Equal(got, []string{"Created", "Modified", "Deleted"}) {
		t.Errorf("the group of documents is %v", got)
	}
}

func TestAnEventIsShownWithoutWhatItMustNotTell(t *testing.T) {
	t.Parallel()
	body := `{"Message":"A <b> was changed","ChangeDetails":{"DocumentContext":{"WebhookHeaderValue":"a \"secret\" \\"},"Differences":[{"path":"/x","value":{"WebhookHeaderValue":"secret"},"old":{"WebhookHeaderValue":null}}]}}`
	o := Show(document.Event{AutoID: 7, Category: "Modified", Type: "Subscription", Body: []byte(body)})
	text, err := o.MarshalJSON()
	if err != nil || strings.Contains(string(text), "secret") || !strings.Contains(string(text), `"WebhookHeaderValue":null`) {
		t.Errorf("%s, %v", text, err)
	}
	if o.Text("MessageHtml") != "A &lt;b&gt; was changed" || o.Text("Id") != "Events-7" || o.Has("SpaceId") {
		t.Errorf("%s", text)
	}
	if n, ok := Number("Events-7"); n != 7 || !ok {
		t.Errorf("number %d, %v", n, ok)
	}
	if _, ok := Number("Events-x"); ok {
		t.Error("a number was read where there is none")
	}
}

func TestATargetIsWhatAnEventNames(t *testing.T) {
	t.Parallel()
	got := Target(document.Event{Space: "Spaces-1", Related: []string{"Releases-1", "Projects-2", "Environments-3", "Environments-4", "Tenants-5", "ProjectGroups-6"}})
	if got.Space != "Spaces-1" || got.Project != "Projects-2" || got.ProjectGroup != "ProjectGroups-6" || !slices.Equal(got.Environments, []string{"Environments-3", "Environments-4"}) || !slices.Equal(got.Tenants, []string{"Tenants-5"}) {
		t.Errorf("%+v", got)
	}
}
