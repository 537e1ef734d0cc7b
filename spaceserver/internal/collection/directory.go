package collection

import (
	"context"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
)

// Directory is the spaces there are, kept in memory: every request needs them.
type Directory struct {
	Spaces  []SpaceEntry
	Default string // id of the default space, "" where it is disabled
	known   map[string]bool
}

// SpaceEntry is a space in the directory.
type SpaceEntry struct {
	ID, Name, Slug string
}

// Has tells whether there is such a space.
func (d *Directory) Has(id string) bool { return d.known[id] }

func (d *Directory) ids() []string {
	ids := make([]string, len(d.Spaces))
	for i, s := range d.Spaces {
		ids[i] = s.ID
	}
	return ids
}

// Directory returns the spaces as they were last read.
func (s *Service) Directory() *Directory {
	if d := s.spaces.Load(); d != nil {
		return d
	}
	return &Directory{}
}

// ReadDirectory reads the spaces again: after they changed here or, on PostgreSQL, elsewhere.
func (s *Service) ReadDirectory(ctx context.Context) error {
	rows, _, err := s.Store.List(ctx, s.Store.DB.Read(), document.Query{Kind: "Spaces", Order: document.OldestFirst})
	if err != nil {
		return err
	}
	d := &Directory{known: map[string]bool{}}
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		d.Spaces = append(d.Spaces, SpaceEntry{row.ID, o.Text("Name"), row.Slug})
		d.known[row.ID] = true
		if o.Bool("IsDefault") {
			d.Default = row.ID
		}
	}
	s.spaces.Store(d)
	return nil
}
