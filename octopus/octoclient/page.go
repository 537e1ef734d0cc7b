package octoclient

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"odcm"
	"odcm/octopus"
)

// take is how many items List asks for at once: few requests, answers of about 100 KiB.
const take = 100

// Pages yields a list page by page, by skip and take until the server's TotalResults. An error ends it.
func (c *Client) Pages(ctx context.Context, path string) iter.Seq2[octopus.Page, error] {
	return func(yield func(octopus.Page, error) bool) {
		for skip, last := 0, ""; ; {
			o, err := c.Get(ctx, withQuery(path, "skip", strconv.Itoa(skip), "take", strconv.Itoa(take)))
			page := octopus.Page{Object: o}
			items := page.Items()
			if err == nil && !o.Has("Items") {
				err = odcm.E(odcm.Invalid, "octopus.not-octopus", "%s of %s is not a list.", plain(path), c.base.Host)
			}
			if err != nil {
				yield(octopus.Page{}, err)
				return
			}
			if skip > 0 && len(items) > 0 && items[0].ID() != "" && items[0].ID() == last {
				return // the route knows no skip and gave all at once
			}
			if !yield(page, nil) {
				return
			}
			if skip += len(items); len(items) == 0 || skip >= page.Total() {
				return
			}
			last = items[0].ID()
		}
	}
}

// List yields every item of a list, reading pages as they are needed. What others add or remove meanwhile may be missed
// or come twice, as the API has no cursor. An error ends it.
func (c *Client) List(ctx context.Context, path string) iter.Seq2[octopus.Object, error] {
	return func(yield func(octopus.Object, error) bool) {
		for page, err := range c.Pages(ctx, path) {
			if err != nil {
				yield(octopus.Object{}, err)
				return
			}
			for _, item := range page.Items() {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// All reads a list in one request: the bare array of the route's /all, where the kind has one.
func (c *Client) All(ctx context.Context, path string) (items []octopus.Object, err error) {
	path, query, _ := strings.Cut(path, "?")
	path += "/all"
	defer odcm.Wrap(&err, "get %s", path)
	if query != "" {
		path += "?" + query
	}
	a, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(a.body, &items); err != nil {
		return nil, c.notOctopus(a).Because(err)
	}
	return items, nil
}

// withQuery adds names and values to a path.
func withQuery(path string, pairs ...string) string {
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		values = url.Values{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + values.Encode()
}
