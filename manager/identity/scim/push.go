package scim

import (
	"context"
	"encoding/json"
	"slices"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/scim/attribute"
)

// again is how often a change is tried anew that another request overtook.
const again = 4

// create takes a new resource.
func (s *Service) create(ctx context.Context, d Directory, k Kind, doc attribute.Object) (Resource, attribute.Object, error) {
	members, err := takeMembers(k, doc)
	if err != nil {
		return Resource{}, nil, err
	}
	if err := tidy(k, doc); err != nil {
		return Resource{}, nil, err
	}
	now := s.now()
	r := Resource{Kind: k, Provider: d.Provider, ID: odcm.NewID[string]("scim"), Created: now, Modified: now, Revision: 1}
	if err := r.take(doc); err != nil {
		return Resource{}, nil, err
	}
	r.Subject = r.External
	if r.Subject == "" {
		r.Subject = r.ID
	}
	if k == User {
		r.Subject = d.Prefix + r.Subject
		// Before anybody is made known; where two requests come at once, the store refuses the second.
		if taken, err := s.o.Store.Find(ctx, d.Provider, User, "username", r.Name); err != nil || len(taken) > 0 {
			return Resource{}, nil, firstOf(err, &fault{409, "uniqueness", "There is a user of this name already."})
		}
	}
	people, err := s.o.Store.Users(ctx, d.Provider, members)
	if err != nil {
		return Resource{}, nil, err
	}
	ids, persons := known(members, people)
	if err := s.carryOut(ctx, d, &r, doc, persons, nil); err != nil {
		return Resource{}, nil, err
	}
	return r, doc, s.o.Store.Insert(ctx, r, ids)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// take fills what of the resource is in the document.
func (r *Resource) take(doc attribute.Object) (err error) {
	if r.Document, err = json.Marshal(doc); err != nil {
		return err
	}
	if len(r.Document) > maxDocument {
		return &fault{413, "", "The resource is too large."}
	}
	r.External, r.Name = attribute.Text(attribute.Get(doc, "externalId")), attribute.Text(attribute.Get(doc, "userName"))
	if r.Kind == Group {
		r.Name = attribute.Text(attribute.Get(doc, "displayName"))
	}
	return nil
}

// carryOut puts right what the rest of ODCM knows, before the resource is kept: what is not carried out is not kept either,
// and the client tries again. Doing it twice is doing it once.
func (s *Service) carryOut(ctx context.Context, d Directory, r *Resource, doc attribute.Object, join, leave []odcm.UserID) (err error) {
	if r.Kind == User {
		p := personOf(doc)
		p.Subject, p.EmailVerified = r.Subject, d.TrustEmail && p.Email != ""
		r.Person, err = s.o.People.Put(ctx, d.Provider, p)
		return err
	}
	_, err = s.o.Groups.Push(ctx, d.Provider, person.ExternalGroup{ID: r.Subject, Name: r.Name}, join, leave)
	return err
}

// takeMembers takes the members out of a group, which are kept apart.
func takeMembers(k Kind, doc attribute.Object) ([]string, error) {
	if k != Group {
		return nil, nil
	}
	key := attribute.KeyOf(doc, "members")
	all := attribute.List(doc[key])
	delete(doc, key)
	if len(all) > attribute.MaxElements {
		return nil, invalid("tooMany", "The group has too many members.")
	}
	var ids []string
	for _, v := range all {
		id := attribute.ValueOf(v)
		if id == "" || len(id) > maxValue {
			return nil, invalid("invalidValue", "A member needs a value: the identifier of a user.")
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// known leaves the members that are people of the directory: others were deleted meanwhile, or never pushed.
func known(ids []string, people map[string]Member) (there []string, persons []odcm.UserID) {
	for _, id := range ids {
		if m, ok := people[id]; ok {
			there, persons = append(there, id), append(persons, m.Person)
		}
	}
	return there, persons
}

// load reads a resource as an object, a group with its members.
func (s *Service) load(ctx context.Context, d Directory, k Kind, id string, withMembers bool) (Resource, attribute.Object, error) {
	r, err := s.o.Store.Resource(ctx, d.Provider, k, id)
	if err != nil {
		return Resource{}, nil, err
	}
	doc, err := s.open(ctx, d, []Resource{r}, withMembers)
	if err != nil {
		return Resource{}, nil, err
	}
	return r, doc[0], nil
}

// open reads documents, and in one query the members of all groups among them.
func (s *Service) open(ctx context.Context, d Directory, all []Resource, withMembers bool) ([]attribute.Object, error) {
	docs, ids := make([]attribute.Object, len(all)), []string{}
	for i, r := range all {
		if err := json.Unmarshal(r.Document, &docs[i]); err != nil {
			return nil, err
		}
		if r.Kind == Group {
			ids = append(ids, r.ID)
		}
	}
	if !withMembers || len(ids) == 0 {
		return docs, nil
	}
	members, err := s.o.Store.Members(ctx, d.Provider, ids)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		list := make([]any, 0, len(members[r.ID]))
		for _, m := range members[r.ID] {
			list = append(list, attribute.Object{"value": m.ID, "display": m.Name, "type": "User", "$ref": s.location(User, m.ID)})
		}
		if r.Kind == Group {
			docs[i]["members"] = list
		}
	}
	return docs, nil
}

// change reads a resource, changes it by f, and keeps it. Where another request was faster it does so again, unless the
// client said which version it means.
func (s *Service) change(ctx context.Context, d Directory, k Kind, id string, match func(revision int64) error, f func(doc attribute.Object) (attribute.Object, error)) (Resource, attribute.Object, error) {
	for try := 1; ; try++ {
		r, doc, err := s.changeOnce(ctx, d, k, id, match, f)
		if odcm.KindOf(err) != odcm.Conflict || try == again {
			return r, doc, err
		}
	}
}

func (s *Service) changeOnce(ctx context.Context, d Directory, k Kind, id string, match func(revision int64) error, f func(doc attribute.Object) (attribute.Object, error)) (Resource, attribute.Object, error) {
	r, doc, err := s.load(ctx, d, k, id, true)
	if err != nil {
		return Resource{}, nil, err
	}
	if err := match(r.Revision); err != nil {
		return Resource{}, nil, err
	}
	before, err := takeMembers(k, doc)
	if err != nil {
		return Resource{}, nil, err
	}
	if k == Group { // f may look for members: give them back as it knows them
		doc["members"] = toValues(before)
	}
	if doc, err = f(doc); err != nil {
		return Resource{}, nil, err
	}
	after, err := takeMembers(k, doc)
	if err != nil {
		return Resource{}, nil, err
	}
	if err := tidy(k, doc); err != nil {
		return Resource{}, nil, err
	}
	if err := r.take(doc); err != nil {
		return Resource{}, nil, err
	}
	join, leave := missing(after, before), missing(before, after)
	people, err := s.o.Store.Users(ctx, d.Provider, slices.Concat(join, leave))
	if err != nil {
		return Resource{}, nil, err
	}
	join, in := known(join, people)
	leave, out := known(leave, people)
	if err := s.carryOut(ctx, d, &r, doc, in, out); err != nil {
		return Resource{}, nil, err
	}
	r.Modified = s.now()
	if err := s.o.Store.Update(ctx, r, join, leave); err != nil {
		return Resource{}, nil, err
	}
	r.Revision++
	return r, doc, nil
}

func toValues(ids []string) []any {
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = attribute.Object{"value": id}
	}
	return all
}

// missing returns what is in a and not in b; both are sorted.
func missing(a, b []string) (rest []string) {
	for _, x := range a {
		if _, in := slices.BinarySearch(b, x); !in {
			rest = append(rest, x)
		}
	}
	return rest
}

// remove forgets a resource. A person loses the way in that the directory gave him, and leaves its groups.
func (s *Service) remove(ctx context.Context, d Directory, k Kind, id string, match func(revision int64) error) error {
	r, err := s.o.Store.Resource(ctx, d.Provider, k, id)
	if err != nil {
		return err
	}
	if err := match(r.Revision); err != nil {
		return err
	}
	if k == Group {
		if err := s.o.Groups.Drop(ctx, d.Provider, r.Subject); err != nil {
			return err
		}
		return s.o.Store.Delete(ctx, r)
	}
	if err := s.o.People.Remove(ctx, d.Provider, r.Subject); err != nil {
		return err
	}
	groups, err := s.o.Store.GroupsOf(ctx, d.Provider, id)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, err := s.o.Groups.Push(ctx, d.Provider, person.ExternalGroup{ID: g.Subject, Name: g.Name}, nil, []odcm.UserID{r.Person}); err != nil {
			return err
		}
	}
	return s.o.Store.Delete(ctx, r)
}
