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

// TopicLogout is what the bus says when logout tokens wait.
const TopicLogout = "sso-logout"

// Topic is what the bus says when the relying party changed.
func Topic(id PartyID) string { return "party/" + string(id) }

// newSecret makes 256 random bits and the hash that is kept of them.
func newSecret() (secret, hash string) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, Hash(secret)
}

// Hash is what is kept of a text that has enough random bits: SHA-256, base64url.
func Hash(secret string) string {
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
func (r *Registry) Create(ctx context.Context, by odcm.Principal, p Party) (_ Party, secret string, err error) {
	defer odcm.Wrap(&err, "create a relying party")
	if err := r.o.Authorizer.Authorize(ctx, by, "party.create", ""); err != nil {
		return Party{}, "", err
	}
	return r.create(ctx, by, p)
}

func (r *Registry) create(ctx context.Context, by odcm.Principal, p Party) (_ Party, secret string, err error) {
	p.ID, p.Created, p.Revision = odcm.NewID[PartyID]("party"), r.now(), 1
	p.SecretMade, p.OldSecretUntil = time.Time{}, time.Time{}
	if err := p.check(); err != nil {
		return Party{}, "", err
	}
	var kept Secrets
	if p.Auth == AuthSecret {
		secret, kept.Current = newSecret()
		p.SecretMade = p.Created
	}
	if err := r.o.Store.CreateParty(ctx, p, kept, odcm.NewEvent(by, "party.created", string(p.ID), p.Name, nil, tell(p))); err != nil {
		return Party{}, "", err
	}
	r.changed(p.ID)
	return p, secret, nil
}

// Update writes what an administrator may change where the revision is the present one. Kind, server and times stay. A party
// that begins to authenticate by secret has none until [Registry.RotateSecret].
func (r *Registry) Update(ctx context.Context, by odcm.Principal, p Party) (_ Party, err error) {
	defer odcm.Wrap(&err, "update relying party %s", p.ID)
	if err := r.o.Authorizer.Authorize(ctx, by, "party.update", string(p.ID)); err != nil {
		return Party{}, err
	}
	old, _, err := r.o.Store.Party(ctx, p.ID)
	if err != nil {
		return Party{}, err
	}
	return r.update(ctx, by, old, p)
}

func (r *Registry) update(ctx context.Context, by odcm.Principal, old, p Party) (Party, error) {
	p.Kind, p.Instance, p.Created, p.SecretMade, p.OldSecretUntil = old.Kind, old.Instance, old.Created, old.SecretMade, old.OldSecretUntil
	if err := p.check(); err != nil {
		return Party{}, err
	}
	if err := r.o.Store.UpdateParty(ctx, p, odcm.NewEvent(by, "party.updated", string(p.ID), p.Name, tell(old), tell(p))); err != nil {
		return Party{}, err
	}
	r.changed(p.ID)
	p.Revision++
	return p, nil
}

// changed makes this and every other replica ask the database about the relying party again.
func (r *Registry) changed(id PartyID) {
	r.known.Forget(id)
	r.o.Bus.Publish(Topic(id))
}

// RotateSecret makes a new secret, which is in this answer and nowhere else. The one before is taken for a day.
func (r *Registry) RotateSecret(ctx context.Context, by odcm.Principal, id PartyID) (secret string, err error) {
	defer odcm.Wrap(&err, "make a new secret of relying party %s", id)
	if err := r.o.Authorizer.Authorize(ctx, by, "party.update", string(id)); err != nil {
		return "", err
	}
	p, _, err := r.o.Store.Party(ctx, id)
	if err != nil {
		return "", err
	}
	if p.Auth != AuthSecret {
		return "", odcm.E(odcm.Invalid, "party.no-secret", "%s does not authenticate by a secret.", p.Name)
	}
	return r.rotateSecret(ctx, by, p)
}

func (r *Registry) rotateSecret(ctx context.Context, by odcm.Principal, p Party) (string, error) {
	secret, hash := newSecret()
	at := r.now()
	if err := r.o.Store.SetSecret(ctx, p.ID, hash, at, at.Add(overlap), odcm.NewEvent(by, "party.secret-made", string(p.ID), p.Name, nil, nil)); err != nil {
		return "", err
	}
	r.changed(p.ID)
	return secret, nil
}

// Delete forgets a relying party; people who are signed in there are signed out of it.
func (r *Registry) Delete(ctx context.Context, by odcm.Principal, id PartyID) (err error) {
	defer odcm.Wrap(&err, "delete relying party %s", id)
	if err := r.o.Authorizer.Authorize(ctx, by, "party.delete", string(id)); err != nil {
		return err
	}
	p, _, err := r.o.Store.Party(ctx, id)
	if err != nil {
		return err
	}
	if p.Kind == KindSpace {
		return odcm.E(odcm.Conflict, "party.in-use", "A Space's server signs people in with it: delist its Spaces first.")
	}
	return r.remove(ctx, by, p)
}

func (r *Registry) remove(ctx context.Context, by odcm.Principal, p Party) error {
	if err := r.o.Store.DeleteParty(ctx, p.ID, odcm.NewEvent(by, "party.deleted", string(p.ID), p.Name, tell(p), nil)); err != nil {
		return err
	}
	r.changed(p.ID)
	return nil
}

// Get returns a relying party.
func (r *Registry) Get(ctx context.Context, by odcm.Principal, id PartyID) (Party, error) {
	if err := r.o.Authorizer.Authorize(ctx, by, "party.read", string(id)); err != nil {
		return Party{}, err
	}
	p, _, err := r.o.Store.Party(ctx, id)
	return p, err
}

// List lists relying parties by id.
func (r *Registry) List(ctx context.Context, by odcm.Principal, after PartyID, limit int) ([]Party, error) {
	if err := r.o.Authorizer.Authorize(ctx, by, "party.list", ""); err != nil {
		return nil, err
	}
	return r.o.Store.Parties(ctx, after, limit)
}

// EnsureForInstance makes or updates the relying party of an Octopus server and, where it is to have a secret, a new one: each
// time, for nobody can read the one before. That stays valid for a day, while the server is told.
func (r *Registry) EnsureForInstance(ctx context.Context, instance odcm.InstanceID, name string, redirectURIs []string, alg Algorithm, withSecret bool) (_ Party, secret string, err error) {
	defer odcm.Wrap(&err, "relying party of server %s", instance)
	want := Party{Name: name, Kind: KindSpace, Instance: instance, RedirectURIs: redirectURIs, Algorithm: alg, Auth: AuthNone, Front: true}
	if withSecret {
		want.Auth = AuthSecret
	}
	for _, u := range redirectURIs {
		want.PlainHTTP = want.PlainHTTP || len(u) > 7 && u[:7] == "http://"
	}
	p, err := r.o.Store.PartyOf(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		p, secret, err = r.create(ctx, odcm.System, want)
		if odcm.KindOf(err) != odcm.Exists { // another replica was faster: its party is updated
			return p, secret, err
		}
		p, err = r.o.Store.PartyOf(ctx, instance)
	}
	if err != nil {
		return Party{}, "", err
	}
	want.ID, want.Revision, want.PostLogoutURIs, want.LogoutURI = p.ID, p.Revision, p.PostLogoutURIs, p.LogoutURI
	if p, err = r.update(ctx, odcm.System, p, want); err != nil || !withSecret {
		return p, "", err
	}
	if secret, err = r.rotateSecret(ctx, odcm.System, p); err != nil {
		return Party{}, "", err
	}
	p, _, err = r.o.Store.Party(ctx, p.ID)
	return p, secret, err
}

// RemoveForInstance forgets the relying party of a server, where there is one.
func (r *Registry) RemoveForInstance(ctx context.Context, instance odcm.InstanceID) (err error) {
	defer odcm.Wrap(&err, "remove the relying party of server %s", instance)
	p, err := r.o.Store.PartyOf(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return r.remove(ctx, odcm.System, p)
}
