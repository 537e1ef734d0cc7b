package spaceserver_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver"
)

// TestFeedAnswers: versions in their order with every filter, pages, notes, and the older search.
func TestFeedAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	for _, name := range []string{"Acme.Web.1.0.0.zip", "Acme.Web.1.0.0.1.zip", "Acme.Web.1.10.0.zip", "Acme.Web.1.9.0.zip", "Acme.Web.1.2.0-beta.11.zip", "Acme.Web.1.2.0-beta.2.zip", "Acme.Web.02.0.zip", "Acme.Api.1.0.0.tar.gz"} {
		if status, o := w.upload("POST", "/api/packages/raw", name, []byte(name)); status != http.StatusCreated {
			t.Fatalf("%s: %d %s", name, status, text(o))
		}
	}
	of := func(items []octopus.Object, member string) string {
		var all []string
		for _, i := range items {
			all = append(all, i.Text(member))
		}
		return strings.Join(all, " ")
	}
	const feed = "/api/feeds/feeds-builtin/packages"
	for query, want := range map[string]string{
		"":                               "02.0 1.10.0 1.9.0 1.2.0-beta.11 1.2.0-beta.2 1.0.0.1 1.0.0",
		"take=2&skip=1":                  "1.10.0 1.9.0",
		"includePreRelease=false&take=3": "02.0 1.10.0 1.9.0",
		"versionRange=[1.0.0,1.2)":       "1.2.0-beta.11 1.2.0-beta.2 1.0.0.1 1.0.0",
		"versionRange=[1.0.0]":           "1.0.0",
		"versionRange=(,1.0.0.1)":        "1.0.0",
		"preReleaseTag=^beta":            "1.2.0-beta.11 1.2.0-beta.2",
		"preReleaseTag=^$&filter=10":     "1.10.0",
		"versionRange=1.9&filter=.0":     "02.0 1.10.0 1.9.0",
		"filter=nothing":                 "",
	} {
		if got := of(w.get(feed+"/versions?packageId=acme.web&"+encoded(query)).Objects("Items"), "Version"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"versionRange=[1.0", "preReleaseTag=("} {
		w.want(http.StatusBadRequest, "GET", feed+"/versions?packageId=acme.web&"+encoded(query), nil)
	}
	if got := of(w.get(feed+"/search?term=ACME").Objects("Items"), "LatestVersion"); got != "1.0.0 02.0" {
		t.Errorf("search: %s", got)
	}
	if got := of(w.get("/api/packages?latest=true").Objects("Items"), "PackageId"); got != "Acme.Api Acme.Web" {
		t.Errorf("latest: %s", got)
	}
	if got := w.get("/api/packages?nuGetPackageId=Acme.Web&take=2"); got.Int("TotalResults") != 7 || of(got.Objects("Items"), "Version") != "02.0 1.10.0" {
		t.Errorf("packages: %s", text(got))
	}
	if got := octopusObject(t, w, feed+"?packageId=web&partialMatch=true").Objects("all"); of(got, "Version") != "02.0" {
		t.Errorf("the older search: %v", got)
	}
	if o := w.get("/api/packages/packages-Acme.Api.1.0.0"); o.Text("FileExtension") != ".tar.gz" || o.Int("PackageSizeBytes") != 21 {
		t.Errorf("package: %s", text(o))
	}
	if n := w.get("/api/feeds/stats").Int("TotalPackages"); n != 8 {
		t.Errorf("stats: %d", n)
	}
	w.want(http.StatusOK, "DELETE", "/api/packages/bulk?ids=packages-Acme.Web.1.0.0,packages-Acme.Api.1.0.0", nil)
	if n := w.get("/api/feeds/stats").Int("TotalPackages"); n != 6 || len(w.files()) != 6 {
		t.Errorf("after deleting two: %d, %v", n, w.files())
	}
	var said []string
	for _, e := range w.get("/api/events?documentTypes=Package&take=100").Objects("Items") {
		said = append(said, e.Text("Category"))
	}
	if created := slices.DeleteFunc(slices.Clone(said), func(s string) bool { return s != "Created" }); len(created) != 8 || len(said) != 10 {
		t.Errorf("events: %v", said)
	}
}

// encoded is a query whose values are escaped.
func encoded(query string) string {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		values.Set(name, value)
	}
	return values.Encode()
}

// TestPackageRanges: a download that broke off goes on where it was (RFC 9110, section 14).
func TestPackageRanges(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	w.upload("POST", "/api/packages/raw", "Acme.1.0.0.zip", []byte("0123456789"))
	for header, want := range map[string]struct {
		status int
		body   string
	}{"": {200, "0123456789"}, "bytes=4-": {206, "456789"}, "bytes=0-1": {206, "01"}, "bytes=-2": {206, "89"}, "bytes=99-": {416, ""}} {
		r, err := http.NewRequest("GET", w.url+"/api/packages/packages-Acme.1.0.0/raw", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Octopus-ApiKey", w.key)
		if header != "" {
			r.Header.Set("Range", header)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != want.status || want.body != "" && string(body) != want.body {
			t.Errorf("%q: %d %q", header, answer.StatusCode, body)
		}
	}
}

// TestOverwriteModes: each mode, old and new, for who may replace packages and for who may only push them.
func TestOverwriteModes(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	role := w.create("/api/userroles", fields{"Name": "Pusher", "GrantedSpacePermissions": []string{"BuiltInFeedPush", "FeedView", "BuiltInFeedDownload"}}).Text("Id")
	pusher := w.user("pusher", fields{"UserRoleId": role, "SpaceId": "Spaces-1"})
	if status, o := pusher.upload("POST", "/api/Spaces-1/packages/raw", "Acme.1.0.0.zip", []byte("first")); status != http.StatusCreated {
		t.Fatalf("%d %s", status, text(o))
	}
	for _, test := range []struct {
		who    *world
		query  string
		status int
		holds  string
	}{
		{w, "", 409, "first"}, {w, "?overwriteMode=FailIfExists", 409, "first"}, {w, "?replace=false", 409, "first"}, {pusher, "?overwriteMode=IgnoreIfExists", 200, "first"}, {pusher, "?overwriteMode=OverwriteExisting", 403, "first"},
		{pusher, "?replace=true", 403, "first"}, {w, "?overwriteMode=OverwriteExisting", 200, "?overwriteMode=OverwriteExisting"}, {w, "?replace=true", 200, "?replace=true"}, {w, "?replace=true&overwriteMode=FailIfExists", 409, "?replace=true"},
	} {
		status, _ := test.who.upload("POST", "/api/Spaces-1/packages/raw"+test.query, "Acme.1.0.0.zip", []byte(test.query))
		if _, content := w.send("GET", "/api/Spaces-1/packages/packages-Acme.1.0.0/raw", nil); status != test.status || string(content) != test.holds {
			t.Errorf("%q: %d, it holds %q", test.query, status, content)
		}
	}
	if len(w.files()) != 1 {
		t.Errorf("there is %v", w.files())
	}
	if status, _ := pusher.send("DELETE", "/api/Spaces-1/packages/packages-Acme.1.0.0", nil); status != http.StatusForbidden {
		t.Errorf("who may only push has deleted: %d", status)
	}
}
