package sso

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"odcm"
)

// overlap is how long the secret before is taken beside a new one: a server must have been told the new one by then.
const overlap = 24 * time.Hour

// Topic is what the bus says when the relying party changed.
func Topic(id PartyID) string { return "party/" + string(id) }

// newSecret makes 256 random bits and the hash that is kept of them.
func newSecret() (secret, hash string) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, hashOf(secret)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// told is what an event tells of a relying party.
type told struct {
	Kind         Kind      `json:"kind"`
	RedirectURIs []string  `json:"redirectUris,omitempty"`
	LogoutURI    string    `json:"logoutUri,omitempty"`
	Algorithm    Algorithm `json:"algorithm"`
	Auth         Auth      `json:"auth"`
	PlainHTTP    bool      `json:"plainHttp,omitempty"`
	Consent      bool      `json:"consent,omitempty"`
	Disabled     bool      `json:"disabled,omitempty"`
}

func tell(p Party) told {
	return told{p.Kind, p.RedirectURIs, p.LogoutURI, p.Algorithm, p.Auth, p.PlainHTTP, p.Consent, p.Disabled}
}

// Create registers a relying party. The secret, where it has one, is in this answer and nowhere else.
func (s *Service) Create(ctx context.Context, by odcm.Principal, p Party) (_ Party, secret string, err error) {
	defer odcm.Wrap(&err, "create a relying party")
	if err := s.o.Authorizer.Authorize(ctx, by, "party.create", ""); err != nil {
		return Party{}, "", err
	}
	return s.create(ctx, by, p)
}

func (s *Service) create(ctx context.Context, by odcm.Principal, p Party) (_ Party, secret string, err error) {
	p.ID, p.Created, p.Revision = odcm.NewID[PartyID]("party"), s.now(), 1
	p.SecretMade, p.OldSecretUntil = time.Time{}, time.Time{}
	if err := p.check(); err != nil {
		return Party{}, "", err
	}
	var kept Secrets
	if p.Auth == AuthSecret {
		secret, kept.Current = newSecret()
		p.SecretMade = p.Created
	}
	if err := s.o.Store.CreateParty(ctx, p, kept, odcm.NewEvent(by, "party.created", string(p.ID), p.Name, nil, tell(p))); err != nil {
		return Party{}, "", err
	}
	s.changed(p.ID)
	return p, secret, nil
}

// Update writes what an administrator may change where the revision is the present one. Kind, server and times stay. A party
// that begins to authenticate by secret has none until [Service.RotateSecret].
func (s *Service) Update(ctx context.Context, by odcm.Principal, p Party) (_ Party, err error) {
	defer odcm.Wrap(&err, "update relying party %s", p.ID)
	if err := s.o.Authorizer.Authorize(ctx, by, "party.update", string(p.ID)); err != nil {
		return Party{}, err
	}
	old, _, err := s.o.Store.Party(ctx, p.ID)
	if err != nil {
		return Party{}, err
	}
	return s.update(ctx, by, old, p)
}

func (s *Service) update(ctx context.Context, by odcm.Principal, old, p Party) (Party, error) {
	p.Kind, p.Instance, p.Created, p.SecretMade, p.OldSecretUntil = old.Kind, old.Instance, old.Created, old.SecretMade, old.OldSecretUntil
	if err := p.check(); err != nil {
		return Party{}, err
	}
	if err := s.o.Store.UpdateParty(ctx, p, odcm.NewEvent(by, "party.updated", string(p.ID), p.Name, tell(old), tell(p))); err != nil {
		return Party{}, err
	}
	s.changed(p.ID)
	p.Revision++
	return p, nil
}

// changed makes this and every other replica ask the database about the relying party again.
func (s *Service) changed(id PartyID) {
	s.parties.forget(id)
	s.o.Bus.Publish(Topic(id))
}

// RotateSecret makes a new secret, which is in this answer and nowhere else. The one before is taken for a day.
func (s *Service) RotateSecret(ctx context.Context, by odcm.Principal, id PartyID) (secret string, err error) {
	defer odcm.Wrap(&err, "make a new secret of relying party %s", id)
	if err := s.o.Authorizer.Authorize(ctx, by, "party.update", string(id)); err != nil {
		return "", err
	}
	p, _, err := s.o.Store.Party(ctx, id)
	if err != nil {
		return "", err
	}
	if p.Auth != AuthSecret {
		return "", odcm.E(odcm.Invalid, "party.no-secret", "%s does not authenticate by a secret.", p.Name)
	}
	return s.rotateSecret(ctx, by, p)
}

func (s *Service) rotateSecret(ctx context.Context, by odcm.Principal, p Party) (string, error) {
	secret, hash := newSecret()
	at := s.now()
	if err := s.o.Store.SetSecret(ctx, p.ID, hash, at, at.Add(overlap), odcm.NewEvent(by, "party.secret-made", string(p.ID), p.Name, nil, nil)); err != nil {
		return "", err
	}
	s.changed(p.ID)
	return secret, nil
}

// Delete forgets a relying party; people who are signed in there are signed out of it.
func (s *Service) Delete(ctx context.Context, by odcm.Principal, id PartyID) (err error) {
	defer odcm.Wrap(&err, "delete relying party %s", id)
	if err := s.o.Authorizer.Authorize(ctx, by, "party.delete", string(id)); err != nil {
		return err
	}
	p, _, err := s.o.Store.Party(ctx, id)
	if err != nil {
		return err
	}
	if p.Kind == KindSpace {
		return odcm.E(odcm.Conflict, "party.in-use", "A Space's server signs people in with it: delist its Spaces first.")
	}
	return s.remove(ctx, by, p)
}

func (s *Service) remove(ctx context.Context, by odcm.Principal, p Party) error {
	if err := s.o.Store.DeleteParty(ctx, p.ID, odcm.NewEvent(by, "party.deleted", string(p.ID), p.Name, tell(p), nil)); err != nil {
		return err
	}
	s.changed(p.ID)
	return nil
}

// Get returns a relying party.
func (s *Service) Get(ctx context.Context, by odcm.Principal, id PartyID) (Party, error) {
	if err := s.o.Authorizer.Authorize(ctx, by, "party.read", string(id)); err != nil {
		return Party{}, err
	}
	p, _, err := s.o.Store.Party(ctx, id)
	return p, err
}

// List lists relying parties by id.
func (s *Service) List(ctx context.Context, by odcm.Principal, after PartyID, limit int) ([]Party, error) {
	if err := s.o.Authorizer.Authorize(ctx, by, "party.list", ""); err != nil {
		return nil, err
	}
	return s.o.Store.Parties(ctx, after, limit)
}

// EnsureForInstance makes or updates the relying party of an Octopus server and, where it is to have a secret, a new one: each
// time, for nobody can read the one before. That stays valid for a day, while the server is told.
func (s *Service) EnsureForInstance(ctx context.Context, instance odcm.InstanceID, name string, redirectURIs []string, alg Algorithm, withSecret bool) (_ Party, secret string, err error) {
	defer odcm.Wrap(&err, "relying party of server %s", instance)
	want := Party{Name: name, Kind: KindSpace, Instance: instance, RedirectURIs: redirectURIs, Algorithm: alg, Auth: AuthNone, Front: true}
	if withSecret {
		want.Auth = AuthSecret
	}
	for _, u := range redirectURIs {
		want.PlainHTTP = want.PlainHTTP || len(u) > 7 && u[:7] == "http://"
	}
	p, err := s.o.Store.PartyOf(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		p, secret, err = s.create(ctx, odcm.System, want)
		if odcm.KindOf(err) != odcm.Exists { // another replica was faster: its party is updated
			return p, secret, err
		}
		p, err = s.o.Store.PartyOf(ctx, instance)
	}
	if err != nil {
		return Party{}, "", err
	}
	want.ID, want.Revision, want.PostLogoutURIs, want.LogoutURI = p.ID, p.Revision, p.PostLogoutURIs, p.LogoutURI
	if p, err = s.update(ctx, odcm.System, p, want); err != nil || !withSecret {
		return p, "", err
	}
	if secret, err = s.rotateSecret(ctx, odcm.System, p); err != nil {
		return Party{}, "", err
	}
	p, _, err = s.o.Store.Party(ctx, p.ID)
	return p, secret, err
}

// RemoveForInstance forgets the relying party of a server, where there is one.
func (s *Service) RemoveForInstance(ctx context.Context, instance odcm.InstanceID) (err error) {
	defer odcm.Wrap(&err, "remove the relying party of server %s", instance)
	p, err := s.o.Store.PartyOf(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return s.remove(ctx, odcm.System, p)
}
