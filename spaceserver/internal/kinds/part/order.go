package part

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
)

// AtTheEnd puts a new document behind those that people have ordered.
func AtTheEnd(kind string) func(c *collection.Change) error {
	return func(c *collection.Change) error {
		if !c.Creating || c.New.Int("SortOrder") != 0 {
			return nil
		}
		last, err := c.Service.Store.LastPosition(c.Context, c.Tx, kind, c.Space)
		if err != nil {
			return err
		}
		c.New.Set("SortOrder", last+1)
		return nil
	}
}

// SortOrder takes an array of ids in their new order.
func SortOrder(kind string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		var ids []string
		if err := c.Decode(&ids); err != nil {
			return nil, err
		}
		return nil, c.Transact(func(change *collection.Change) error {
			for i, id := range ids {
				if _, ok, err := change.Get(kind, id); err != nil || !ok {
					return OrInvalid(err, "There is no '"+id+"' to sort.")
				}
				err := change.Edit(kind, id, func(o *octopus.Object) error {
					o.Set("SortOrder", i)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
