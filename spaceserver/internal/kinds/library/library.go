// Package library is what deployments bring to targets: feeds, and the packages of the built-in feed with what builds tell of
// them and how long they are kept.
package library

import (
	"strconv"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// Kinds are the feeds.
func Kinds() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "Feeds", Type: "Feed", Route: "feeds", Slugged: true,
			Template:   `{"Name":"","Slug":"","FeedType":"","PackageAcquisitionLocationOptions":["Server","ExecutionTarget"]}`,
			Required:   []string{"Name", "FeedType"},
			Permission: collection.Verbs{View: "FeedView", Create: "FeedEdit", Edit: "FeedEdit", Delete: "FeedEdit"},
			Filters:    map[string]string{"feedType": "FeedType"}, Query: "skip,take,ids,partialName,feedType",
			Number: func(c *collection.Change) (string, error) { // the first of people's own is Feeds-1001, as on an Octopus server
				n, err := c.Service.Store.Next(c.Context, c.Tx, "external feeds", 1)
				return "Feeds-" + strconv.Itoa(int(1000+n)), err
			},
			Links: map[string]string{"SearchTemplate": "feeds/{Id}/packages{?packageId,partialMatch,includeMultipleVersions,includeNotes,includePreRelease,versionRange,preReleaseTag,take}",
				"SearchPackagesTemplate": "feeds/{Id}/packages/search{?term,take,skip}", "SearchPackageVersionsTemplate": "feeds/{Id}/packages/versions{?packageId,take,skip,includePreRelease,versionRange,preReleaseTag,filter,includeReleaseNotes}",
				"NotesTemplate": "feeds/{Id}/packages/notes{?packageId,version}", "BuiltInFeedStats": "feeds/stats"},
			Prepare: func(c *collection.Change) error {
				if c.Creating && c.New.Text("FeedType") == "BuiltIn" {
					if n, err := c.List(document.Query{Kind: "Feeds", Spaces: []string{c.Space}, Contains: `"FeedType":"BuiltIn"`}); err != nil || len(n) > 0 {
						return part.OrInvalid(err, "There is a built-in feed already.")
					}
				}
				return nil
			},
			Remove: func(c *collection.Change) error {
				if c.Old.Text("FeedType") == "BuiltIn" {
					return problem.Invalid("The built-in feed cannot be deleted.")
				}
				return nil
			},
		},
	}
}
