package part

import (
	"context"
	"errors"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
)

// Reader reads documents of one space for the server's own rules, whoever asks: inside of a transaction or outside.
type Reader struct {
	Context context.Context
	Service *collection.Service
	Q       db.Querier
	Space   string
}

// In reads within the transaction of a change.
func In(c *collection.Change) Reader { return Reader{c.Context, c.Service, c.Tx, c.Space} }

// Outside reads what is committed, for a request; space is that of a document that the caller was found to see.
func Outside(c *collection.Call, space string) Reader {
	return Reader{c.Context, c.Service, c.Service.Store.DB.Read(), space}
}

// Get reads a document of the space or of the whole server, and tells whether there is one.
func (r Reader) Get(kind, id string) (octopus.Object, bool, error) {
	if id == "" {
		return octopus.Object{}, false, nil
	}
	o, err := r.Service.Store.Object(r.Context, r.Q, kind, id, r.Space)
	if errors.Is(err, document.ErrNone) {
		o, err = r.Service.Store.Object(r.Context, r.Q, kind, id, "")
	}
	if errors.Is(err, document.ErrNone) {
		return octopus.Object{}, false, nil
	}
	return o, err == nil, err
}

// List reads documents of the space in the order of their kind.
func (r Reader) List(q document.Query) ([]octopus.Object, error) {
	q.Spaces = []string{r.Space}
	if q.Order == document.ByName {
		q.Order = r.Service.Kind(q.Kind).Order
	}
	rows, _, err := r.Service.Store.List(r.Context, r.Q, q)
	if err != nil {
		return nil, err
	}
	all := make([]octopus.Object, 0, len(rows))
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// These reads documents of a kind by their ids, in no particular order.
func (r Reader) These(kind string, ids []string) (map[string]octopus.Object, error) {
	found := map[string]octopus.Object{}
	const many = 500 // parameters of one statement
	for len(ids) > 0 {
		some := ids[:min(many, len(ids))]
		ids = ids[len(some):]
		rows, _, err := r.Service.Store.List(r.Context, r.Q, document.Query{Kind: kind, IDs: some})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Space != "" && row.Space != r.Space {
				continue
			}
			if found[row.ID], err = octopus.ParseObject(row.Body); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}
