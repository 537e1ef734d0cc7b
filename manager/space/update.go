package space

import (
	"context"
	"strings"

	"odcm"
)

// Update says what to change of a Space; nil leaves a thing as it is.
type Update struct {
	Name        *string
	Description *string
	Revision    int64 // that the caller has seen; 0 changes whatever is there
}

// Update renames a Space or describes it anew, in ODCM only.
func (s *Service) Update(ctx context.Context, p odcm.Principal, ref string, u Update) (_ Space, err error) {
	defer odcm.Wrap(&err, "update Space %s", ref)
	sp, err := s.own(ctx, p, ActionUpdate, ref)
	if err != nil {
		return Space{}, err
	}
	if u.Revision != 0 && u.Revision != sp.Revision {
		return Space{}, changed(sp.Name)
	}
	before, after := map[string]string{}, map[string]string{}
	if u.Name != nil {
		name, err := cleanName(*u.Name, "name")
		if err != nil {
			return Space{}, err
		}
		if name != sp.Name {
			before["name"], after["name"], sp.Name = sp.Name, name, name
		}
	}
	if u.Description != nil {
		text, err := cleanDescription(*u.Description)
		if err != nil {
			return Space{}, err
		}
		if text != sp.Description {
			before["description"], after["description"], sp.Description = sp.Description, text, text
		}
	}
	if len(after) == 0 {
		return sp, nil
	}
	typ := "space.described"
	if _, renamed := after["name"]; renamed {
		typ = "space.renamed"
	}
	err = s.commit(ctx, Change{Spaces: []Space{sp}, Events: []odcm.Event{odcm.NewEvent(p, typ, string(sp.ID), sp.Name, before, after)}})
	sp.Revision++
	return sp, onName(err)
}

func changed(name string) error {
	return odcm.E(odcm.Conflict, "space.changed", "%s was changed by someone else meanwhile: look at it again, then repeat.", name)
}

// Rekey replaces the API key with which ODCM reaches the Space's server, once the new one has proved itself there. It
// holds for every Space of that server.
func (s *Service) Rekey(ctx context.Context, p odcm.Principal, ref string, key Secret) (err error) {
	defer odcm.Wrap(&err, "rekey Space %s", ref)
	sp, err := s.own(ctx, p, ActionRekey, ref)
	if err != nil {
		return err
	}
	if err := busy(sp); err != nil {
		return err
	}
	in, err := s.o.Store.Instance(ctx, sp.Instance)
	if err != nil {
		return err
	}
	in.APIKey = Secret(strings.TrimSpace(string(key)))
	if in.APIKey == "" {
		return odcm.E(odcm.Invalid, "space.key-missing", "Give an API key of an Octopus administrator on that server.").OnField("apiKey")
	}
	proof, err := s.prove(ctx, in.Connection())
	if err != nil {
		return err
	}
	if err := sameServer(proof, in.InstallationID); err != nil {
		return err
	}
	on, err := s.o.Store.On(ctx, in.ID)
	if err != nil {
		return err
	}
	for _, held := range on {
		if _, sees := proof.space(held.Octopus); held.Octopus != "" && !sees {
			return odcm.E(odcm.Invalid, "space.key-lacks-permission", "The key of %s may not see %s on this server.", proof.User, held.Name).OnField("apiKey")
		}
	}
	in.Version = proof.Version
	return s.commit(ctx, Change{Instances: []Instance{in}, Events: []odcm.Event{
		odcm.NewEvent(p, "space.rekeyed", string(sp.ID), sp.Name, nil, map[string]string{"user": proof.User}),
	}})
}
