package scim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"odcm"
	"odcm/manager/identity/group"
	"odcm/manager/identity/person"
)

// Directory is one who pushes people and groups, for one provider.
type Directory struct {
	Provider odcm.ProviderID // of a way to sign in that there is, or one of the directory's own
	Name     string
	// Prefix comes before externalId to make the subject by which the provider knows the person at sign-in: "TENANT/" for
	// Entra ID, where externalId is the object id.
	Prefix string
	// TrustEmail takes the directory's word that addresses are its people's own.
	TrustEmail bool
	Revision   int64
	Created    time.Time
}

// Token lets a directory in. Only its hash is kept.
type Token struct {
	ID       string
	Provider odcm.ProviderID
	Purpose  string
	Hint     string // its first characters, to recognise it by
	Created  time.Time
	Expires  time.Time // zero: never
	Used     time.Time // at most a minute old; zero: never
}

// People puts right who may sign in. A call that was made may be made again.
type People interface {
	// Put makes the person known whom the provider knows by the subject, or changes him, and returns who he is here. One who
	// is not active is disabled, and his sessions have ended when it returns.
	Put(ctx context.Context, provider odcm.ProviderID, p Person) (odcm.UserID, error)
	// Remove says that the provider knows the subject no more: who has no other way in is disabled, and his sessions end.
	Remove(ctx context.Context, provider odcm.ProviderID, subject string) error
}

// Groups keeps external groups and who is in them. group.Service is one.
type Groups interface {
	Push(ctx context.Context, provider odcm.ProviderID, g person.ExternalGroup, join, leave []odcm.UserID) (group.Group, error)
	Drop(ctx context.Context, provider odcm.ProviderID, id string) error
}

// Store keeps directories, tokens and what was pushed.
type Store interface {
	DirectoryStore
	ResourceStore
}

// DirectoryStore keeps directories and their tokens. Token is always the hash of the secret.
type DirectoryStore interface {
	// CreateDirectory returns odcm.Exists "scim.directory-exists" where the provider has one.
	CreateDirectory(ctx context.Context, d Directory, e odcm.Event) error
	// UpdateDirectory writes d where the stored revision is d.Revision (odcm.Conflict "scim.directory-changed") and adds one.
	UpdateDirectory(ctx context.Context, d Directory, e odcm.Event) error
	// DeleteDirectory also deletes its tokens and what it pushed.
	DeleteDirectory(ctx context.Context, provider odcm.ProviderID, e odcm.Event) error
	// Directory returns odcm.NotFound "scim.directory-not-found" where there is none.
	Directory(ctx context.Context, provider odcm.ProviderID) (Directory, error)
	Directories(ctx context.Context) ([]Directory, error)
	CreateToken(ctx context.Context, t Token, token string, e odcm.Event) error
	// DeleteToken returns odcm.NotFound where the directory has no such token.
	DeleteToken(ctx context.Context, provider odcm.ProviderID, id string, e odcm.Event) error
	Tokens(ctx context.Context, provider odcm.ProviderID) ([]Token, error)
	// ByToken returns odcm.NotFound where there is none; it does not look at the time.
	ByToken(ctx context.Context, token string) (Token, Directory, error)
	TouchToken(ctx context.Context, id string, used time.Time) error
}

// ResourceStore keeps what was pushed. Names of people are unique in a directory, subjects in each sort of resource.
type ResourceStore interface {
	// Insert adds the resource with its members. odcm.Exists where its name or subject is taken.
	Insert(ctx context.Context, r Resource, members []string) error
	// Update writes r where the stored revision is r.Revision (odcm.Conflict) and adds one; odcm.Exists as Insert.
	Update(ctx context.Context, r Resource, join, leave []string) error
	// Delete deletes the resource where it still has the revision (odcm.Conflict).
	Delete(ctx context.Context, r Resource) error
	// Resource returns odcm.NotFound where there is none.
	Resource(ctx context.Context, provider odcm.ProviderID, k Kind, id string) (Resource, error)
	// Find returns those of which the attribute has the value: "id", "externalid", "username" of people, "displayname" of
	// groups.
	Find(ctx context.Context, provider odcm.ProviderID, k Kind, attribute, value string) ([]Resource, error)
	Count(ctx context.Context, provider odcm.ProviderID, k Kind) (int, error)
	// Page returns resources by identifier, without so many of the first.
	Page(ctx context.Context, provider odcm.ProviderID, k Kind, skip, limit int) ([]Resource, error)
	// Members lists the members of the groups, in the order of identifiers.
	Members(ctx context.Context, provider odcm.ProviderID, groups []string) (map[string][]Member, error)
	// Users returns those of ids that are people of the directory.
	Users(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]Member, error)
	// MovePerson makes one user the other in all that was pushed.
	MovePerson(ctx context.Context, from, to odcm.UserID) error
	// GroupsOf lists the groups that a person is in.
	GroupsOf(ctx context.Context, provider odcm.ProviderID, id string) ([]Resource, error)
}

// Member is a person in a group.
type Member struct {
	ID     string // of the resource
	Name   string // userName
	Person odcm.UserID
}

// Options are what a [Service] needs. Store, People, Groups, Authorizer and PublicURL are required.
type Options struct {
	Store      Store
	People     People
	Groups     Groups
	Authorizer odcm.Authorizer
	PublicURL  func() string // without a slash at its end
	// Providers lists the ways to sign in that a directory can push for, by name; nil knows none.
	Providers func(ctx context.Context) (map[odcm.ProviderID]string, error)
	Logger    *slog.Logger
	Now       func() time.Time
}

// Service serves directories, and administrators who look after them.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

// The actions that an [odcm.Authorizer] is asked about; the resource is the directory's provider.
const (
	ActionList   odcm.Action = "scim.list"
	ActionRead   odcm.Action = "scim.read"
	ActionCreate odcm.Action = "scim.create"
	ActionUpdate odcm.Action = "scim.update"
	ActionDelete odcm.Action = "scim.delete"
	ActionToken  odcm.Action = "scim.token" // making and revoking them
)

// Permit returns nil where the principal may do the action.
func (s *Service) Permit(ctx context.Context, p odcm.Principal, action odcm.Action, provider odcm.ProviderID) error {
	return s.o.Authorizer.Authorize(ctx, p, action, string(provider))
}

// Address is where a directory sends its requests.
func (s *Service) Address() string { return s.o.PublicURL() + "/scim/v2" }

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

func (d *Directory) validate() error {
	d.Name = strings.TrimSpace(d.Name)
	if d.Name == "" || utf8.RuneCountInString(d.Name) > 100 || !plain(d.Name) {
		return odcm.E(odcm.Invalid, "scim.name-invalid", "Give the directory a name of at most 100 printable characters.").OnField("name")
	}
	if len(d.Prefix) > 200 || !plain(d.Prefix) {
		return odcm.E(odcm.Invalid, "scim.prefix-invalid", "Use at most 200 printable characters before externalId.").OnField("prefix")
	}
	if len(d.Provider) > 100 || !plain(string(d.Provider)) {
		return odcm.E(odcm.Invalid, "scim.provider-invalid", "This is not the identifier of a provider.").OnField("provider")
	}
	return nil
}

func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e })
}

func (d Directory) event(p odcm.Principal, typ string, before, after any) odcm.Event {
	return odcm.NewEvent(p, typ, string(d.Provider), d.Name, before, after)
}

func (d Directory) public() map[string]any {
	return map[string]any{"name": d.Name, "prefix": d.Prefix, "trustEmail": d.TrustEmail}
}

// CreateDirectory makes a directory; for a provider of its own where d names none.
func (s *Service) CreateDirectory(ctx context.Context, p odcm.Principal, d Directory) (_ Directory, err error) {
	defer odcm.Wrap(&err, "create directory")
	if err := s.Permit(ctx, p, ActionCreate, d.Provider); err != nil {
		return Directory{}, err
	}
	named := d.Provider != ""
	if !named {
		d.Provider = odcm.NewID[odcm.ProviderID]("provider")
	}
	d.Created, d.Revision = s.now(), 1
	if err := d.validate(); err != nil {
		return Directory{}, err
	}
	if named {
		if known, err := s.Providers(ctx); err != nil {
			return Directory{}, err
		} else if known[d.Provider] == "" {
			return Directory{}, odcm.E(odcm.Invalid, "scim.provider-unknown", "There is no such provider: leave it out for one of the directory's own.").OnField("provider")
		}
	}
	return d, s.o.Store.CreateDirectory(ctx, d, d.event(p, "scim.directory-created", nil, d.public()))
}

// Providers lists the ways to sign in that a directory can push for, by name.
func (s *Service) Providers(ctx context.Context) (map[odcm.ProviderID]string, error) {
	if s.o.Providers == nil {
		return nil, nil
	}
	return s.o.Providers(ctx)
}

// UpdateDirectory renames a directory or changes how it is read. Revision is what the caller has seen; 0 changes whatever
// is there. Who was pushed already keeps the subject that he has.
func (s *Service) UpdateDirectory(ctx context.Context, p odcm.Principal, d Directory) (_ Directory, err error) {
	defer odcm.Wrap(&err, "update directory %s", d.Provider)
	if err := s.Permit(ctx, p, ActionUpdate, d.Provider); err != nil {
		return Directory{}, err
	}
	old, err := s.o.Store.Directory(ctx, d.Provider)
	if err != nil {
		return Directory{}, err
	}
	if err := d.validate(); err != nil {
		return Directory{}, err
	}
	d.Created = old.Created
	if d.Revision == 0 {
		d.Revision = old.Revision
	}
	if err := s.o.Store.UpdateDirectory(ctx, d, d.event(p, "scim.directory-updated", old.public(), d.public())); err != nil {
		return Directory{}, err
	}
	d.Revision++
	return d, nil
}

// DeleteDirectory forgets a directory with its tokens and what it pushed. The people and groups stay as they are.
func (s *Service) DeleteDirectory(ctx context.Context, p odcm.Principal, provider odcm.ProviderID) (err error) {
	defer odcm.Wrap(&err, "delete directory %s", provider)
	if err := s.Permit(ctx, p, ActionDelete, provider); err != nil {
		return err
	}
	d, err := s.o.Store.Directory(ctx, provider)
	if err != nil {
		return err
	}
	return s.o.Store.DeleteDirectory(ctx, provider, d.event(p, "scim.directory-deleted", d.public(), nil))
}

// Directories lists all, by name. There are few.
func (s *Service) Directories(ctx context.Context, p odcm.Principal) (_ []Directory, err error) {
	defer odcm.Wrap(&err, "list directories")
	if err := s.Permit(ctx, p, ActionList, ""); err != nil {
		return nil, err
	}
	return s.o.Store.Directories(ctx)
}

// Pushed counts what a directory pushed.
type Pushed struct{ Users, Groups int }

// Directory returns one with its tokens and counts.
func (s *Service) Directory(ctx context.Context, p odcm.Principal, provider odcm.ProviderID) (d Directory, tokens []Token, n Pushed, err error) {
	defer odcm.Wrap(&err, "get directory %s", provider)
	if err = s.Permit(ctx, p, ActionRead, provider); err != nil {
		return d, nil, n, err
	}
	if d, err = s.o.Store.Directory(ctx, provider); err != nil {
		return d, nil, n, err
	}
	if tokens, err = s.o.Store.Tokens(ctx, provider); err != nil {
		return d, nil, n, err
	}
	if n.Users, err = s.o.Store.Count(ctx, provider, User); err != nil {
		return d, nil, n, err
	}
	n.Groups, err = s.o.Store.Count(ctx, provider, Group)
	return d, tokens, n, err
}

// TokenPrefix starts every token, so that scanners for leaked secrets know one when they see it.
const TokenPrefix = "odcm_scim_"

// CreateToken makes a token of a directory. The secret is returned here and never again. A zero expires means never.
func (s *Service) CreateToken(ctx context.Context, p odcm.Principal, provider odcm.ProviderID, purpose string, expires time.Time) (secret string, t Token, err error) {
	defer odcm.Wrap(&err, "create token")
	if err := s.Permit(ctx, p, ActionToken, provider); err != nil {
		return "", Token{}, err
	}
	purpose = strings.TrimSpace(purpose)
	switch {
	case purpose == "" || utf8.RuneCountInString(purpose) > 200 || !plain(purpose):
		return "", Token{}, odcm.E(odcm.Invalid, "scim.purpose-invalid", "Say what the token is for, in at most 200 characters.").OnField("purpose")
	case !expires.IsZero() && !expires.After(s.now()):
		return "", Token{}, odcm.E(odcm.Invalid, "scim.expiry-invalid", "The token would have expired already: choose a later time.").OnField("expires")
	}
	d, err := s.o.Store.Directory(ctx, provider)
	if err != nil {
		return "", Token{}, err
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails, says crypto/rand
	secret = TokenPrefix + base64.RawURLEncoding.EncodeToString(b)
	t = Token{ID: odcm.NewID[string]("scimtoken"), Provider: provider, Purpose: purpose, Hint: secret[:len(TokenPrefix)+6], Created: s.now(),
		Expires: expires.UTC().Truncate(time.Millisecond)}
	e := d.event(p, "scim.token-created", nil, map[string]any{"token": t.ID, "hint": t.Hint, "purpose": t.Purpose})
	return secret, t, s.o.Store.CreateToken(ctx, t, hashOf(secret), e)
}

// RevokeToken ends a token at once.
func (s *Service) RevokeToken(ctx context.Context, p odcm.Principal, provider odcm.ProviderID, id string) (err error) {
	defer odcm.Wrap(&err, "revoke token %s", id)
	if err := s.Permit(ctx, p, ActionToken, provider); err != nil {
		return err
	}
	d, err := s.o.Store.Directory(ctx, provider)
	if err != nil {
		return err
	}
	return s.o.Store.DeleteToken(ctx, provider, id, d.event(p, "scim.token-revoked", map[string]any{"token": id}, nil))
}

// Move makes what was pushed of one user the other's, when two accounts of one person become one.
func (s *Service) Move(ctx context.Context, from, to odcm.UserID) error {
	return s.o.Store.MovePerson(ctx, from, to)
}

// hashOf is what of a secret is stored. A plain SHA-256 will do: there is nothing to guess in a random secret.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authenticate tells whose token it is.
func (s *Service) authenticate(ctx context.Context, secret string) (Directory, error) {
	refused := odcm.E(odcm.Unauthenticated, "scim.token-invalid", "Send a token of this directory as Authorization: Bearer.")
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) > 200 {
		return Directory{}, refused
	}
	t, d, err := s.o.Store.ByToken(ctx, hashOf(secret))
	now := s.now()
	switch {
	case odcm.KindOf(err) == odcm.NotFound || err == nil && !t.Expires.IsZero() && !t.Expires.After(now):
		return Directory{}, refused
	case err != nil:
		return Directory{}, err
	}
	if now.Sub(t.Used) >= time.Minute {
		if err := s.o.Store.TouchToken(ctx, t.ID, now); err != nil {
			s.o.Logger.Warn("the use of a SCIM token was not noted", "error", err)
		}
	}
	return d, nil
}
