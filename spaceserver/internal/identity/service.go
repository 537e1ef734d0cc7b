package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
)

// Service answers who a key, a session or a name with a password is.
type Service struct {
	store    *document.Store
	hasher   *hasher
	now      func() time.Time
	settling sync.WaitGroup // a password that is being hashed in the background

	mu         sync.RWMutex
	epoch      int64 // counts how often everything was forgotten: what was read before is not kept after
	generation int64
	read       time.Time             // when the generation was last compared, on PostgreSQL
	users      map[string]*User      // by id
	keys       map[string]credential // by hash
	policy     *Policy
}

type credential struct {
	id, user      string
	expires, used int64
}

// User is an active user and what it may do.
type User struct {
	ID, Username, DisplayName string
	Service                   bool
	Teams                     []Team
	Set                       *permission.Set
	Expires                   time.Time // of the API key that was shown; zero for never
}

// Team is a team that the user is in: as a member, or through groups that a sign-in provider named.
type Team struct {
	ID, Name, Space string
	Direct          bool
	Groups          []string // external groups that make the user a member
}

// What showing a credential may come to.
var (
	// ErrUnknown says that nobody is known by what was shown.
	ErrUnknown = errors.New("not known")
	// ErrExpired says that the API key was valid once.
	ErrExpired = errors.New("expired")
)

// maxKept bounds what is kept in memory of users and keys; beyond it they are read again.
const maxKept = 4096

// New makes the service.
func New(store *document.Store, now func() time.Time) *Service {
	return &Service{store: store, hasher: newHasher(), now: now, users: map[string]*User{}, keys: map[string]credential{}}
}

// Forget drops what is kept in memory: after any change of users, teams, roles or keys.
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

func (s *Service) forget() {
	s.epoch++
	clear(s.users)
	clear(s.keys)
	s.policy = nil
}

// fresh drops what is kept where another replica changed it. On SQLite there is none.
func (s *Service) fresh(ctx context.Context) error {
	if !s.store.DB.Postgres() {
		return nil
	}
	s.mu.RLock()
	recent := s.now().Sub(s.read) < time.Second
	s.mu.RUnlock()
	if recent {
		return nil
	}
	generation, err := s.store.Counter(ctx, s.store.DB.Read(), "security")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = s.now()
	if generation != s.generation {
		s.generation = generation
		s.forget()
	}
	return nil
}

// ByKey returns the user that an API key belongs to.
func (s *Service) ByKey(ctx context.Context, key string) (*User, error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	hash := Hash(key)
	s.mu.RLock()
	c, ok := s.keys[hash]
	epoch := s.epoch
	s.mu.RUnlock()
	if !ok {
		err := s.store.DB.Read().QueryRowContext(ctx,
			"SELECT id, user_id, expires, used FROM spaceserver_credential WHERE hash = $1", hash).Scan(&c.id, &c.user, &c.expires, &c.used)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, ErrUnknown
		}
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if len(s.keys) >= maxKept {
			clear(s.keys)
		}
		if s.epoch == epoch {
			s.keys[hash] = c
		}
		s.mu.Unlock()
	}
	if c.expires != 0 && c.expires <= db.Millis(s.now()) {
		return nil, ErrExpired
	}
	user, err := s.ByID(ctx, c.user)
	if err == nil {
		user = user.with(c)
		s.touch(ctx, hash, c)
	}
	return user, err
}

// with is the user as the holder of a credential.
func (u *User) with(c credential) *User {
	n := *u
	n.Expires = db.Time(c.expires)
	return &n
}

// useful is how exactly the last use of a key is known: a write for each request would cost more than it tells.
const useful = 10 * time.Minute

// touch keeps when a key was last used. That it cannot be kept, on a full disk, is no reason to turn the key away.
func (s *Service) touch(ctx context.Context, hash string, c credential) {
	now := db.Millis(s.now())
	if now-c.used < useful.Milliseconds() {
		return
	}
	s.mu.Lock()
	if kept, ok := s.keys[hash]; ok && kept.used != c.used {
		s.mu.Unlock()
		return // somebody else does it
	}
	c.used = now
	s.keys[hash] = c
	s.mu.Unlock()
	_ = s.store.Tx(context.WithoutCancel(ctx), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE spaceserver_credential SET used = $1 WHERE id = $2", now, c.id)
		return err
	})
}

// LastUsed tells when an API key was last used, by the id of its document; zero for never.
func (s *Service) LastUsed(ctx context.Context, id string) (time.Time, error) {
	var used int64
	err := s.store.DB.Read().QueryRowContext(ctx, "SELECT used FROM spaceserver_credential WHERE id = $1", id).Scan(&used)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return db.Time(used), err
}

// ByID returns an active user with its permissions.
func (s *Service) ByID(ctx context.Context, id string) (*User, error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	u, epoch := s.users[id], s.epoch
	s.mu.RUnlock()
	if u != nil {
		return u, nil
	}
	u, err := s.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) >= maxKept {
		clear(s.users)
	}
	if s.epoch == epoch {
		s.users[id] = u
	}
	return u, nil
}

// ByPassword returns the user with the name (or e-mail address, in any case) and the password.
func (s *Service) ByPassword(ctx context.Context, username, password string) (*User, error) {
	s.settling.Wait()
	row, err := s.store.Find(ctx, s.store.DB.Read(), "Users", username, []string{""}, "")
	if err != nil && !errors.Is(err, document.ErrNone) {
		return nil, err
	}
	stored := ""
	if err == nil {
		err = s.store.DB.Read().QueryRowContext(ctx, "SELECT hash FROM spaceserver_credential WHERE id = $1", "password/"+row.ID).Scan(&stored)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	ok, err := s.hasher.matches(ctx, stored, password)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrUnknown
	}
	return s.Load(ctx, row.ID)
}

// HashPassword hashes a password, for [SetPassword] in a transaction: hashing takes too long to do inside one.
func (s *Service) HashPassword(ctx context.Context, password string) (string, error) {
	return s.hasher.hash(ctx, password)
}

// SetPassword stores a hash made by [Service.HashPassword].
func SetPassword(ctx context.Context, tx *sql.Tx, user, hash string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spaceserver_credential (id, user_id, hash, expires) VALUES ($1,$2,$3,0)
		ON CONFLICT (id) DO UPDATE SET hash = excluded.hash`, "password/"+user, user, hash)
	return err
}

// HasPassword tells whether the user can sign in with a password.
func (s *Service) HasPassword(ctx context.Context, user string) (bool, error) {
	var n int
	err := s.store.DB.Read().QueryRowContext(ctx, "SELECT count(*) FROM spaceserver_credential WHERE id = $1", "password/"+user).Scan(&n)
	return n > 0, err
}

// SetPasswordLater hashes in the background, so that a new server answers at once; signing in waits for it.
func (s *Service) SetPasswordLater(user, password string, failed func(error)) {
	s.settling.Go(func() {
		ctx := context.Background()
		hash, err := s.hasher.hash(ctx, password)
		if err == nil {
			err = s.store.DB.Tx(ctx, func(tx *sql.Tx) error { return SetPassword(ctx, tx, user, hash) })
		}
		if err != nil {
			failed(err)
		}
	})
}

// Wait returns when no password is being hashed in the background.
func (s *Service) Wait() { s.settling.Wait() }

// AddKey stores an API key's hash under the id of its document.
func AddKey(ctx context.Context, tx *sql.Tx, id, user, key string, expires time.Time) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_credential (id, user_id, hash, expires) VALUES ($1,$2,$3,$4)",
		id, user, Hash(key), db.Millis(expires))
	return err
}

// DropCredential removes an API key's hash by the id of its document.
func DropCredential(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_credential WHERE id = $1", id)
	return err
}

// DropUser removes all that lets a user in.
func DropUser(ctx context.Context, tx *sql.Tx, user string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_credential WHERE user_id = $1", user); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_external_group WHERE user_id = $1", user); err != nil {
		return err
	}
	return DropSessions(ctx, tx, user)
}

// Hash is how keys and session tokens are stored and looked up.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// NewKey makes an API key as Octopus does: API- and capital letters and digits, here 32 of them (160 bits).
func NewKey() string { return "API-" + rand.Text()[:26] + rand.Text()[:6] }

// everyone is the team that every user is in.
const everyone = "teams-everyone"

// Load reads a user and works out its permissions from teams, their roles and what restricts them.
func (s *Service) Load(ctx context.Context, id string) (*User, error) {
	q := s.store.DB.Read()
	row, err := s.store.Get(ctx, q, "Users", id, "")
	if errors.Is(err, document.ErrNone) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return nil, err
	}
	if !o.Bool("IsActive") {
		return nil, ErrUnknown
	}
	u := &User{ID: id, Username: o.Text("Username"), DisplayName: o.Text("DisplayName"), Service: o.Bool("IsService")}
	u.Teams, err = s.teams(ctx, q, id)
	if err != nil {
		return nil, err
	}
	u.Set, err = s.grants(ctx, q, u.Teams)
	return u, err
}

func (s *Service) teams(ctx context.Context, q db.Querier, user string) ([]Team, error) {
	groups, err := s.groups(ctx, q, user)
	if err != nil {
		return nil, err
	}
	var teams []Team
	for row, err := range s.store.Each(ctx, q, document.Query{Kind: "Teams", Order: document.OldestFirst}) {
		if err != nil {
			return nil, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		member := row.ID == everyone
		for _, id := range o.Texts("MemberUserIds") {
			member = member || id == user
		}
		var external []string
		if len(groups) > 0 {
			for _, group := range o.Objects("ExternalSecurityGroups") {
				external = append(external, group.Text("Id"))
			}
			external = common(external, groups)
		}
		if member || len(external) > 0 {
			teams = append(teams, Team{row.ID, o.Text("Name"), row.Space, member, external})
		}
	}
	return teams, nil
}

// grants reads what the teams' roles grant.
func (s *Service) grants(ctx context.Context, q db.Querier, teams []Team) (*permission.Set, error) {
	set := &permission.Set{System: map[permission.Name]bool{}, Spaces: map[permission.Name][]permission.Grant{}}
	roles := map[string]octopus.Object{}
	for _, team := range teams {
		scoped, _, err := s.store.List(ctx, q, document.Query{Kind: "ScopedUserRoles", Owner: team.ID, Order: document.OldestFirst})
		if err != nil {
			return nil, err
		}
		for _, row := range scoped {
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return nil, err
			}
			role, ok := roles[o.Text("UserRoleId")]
			if !ok {
				r, err := s.store.Get(ctx, q, "UserRoles", o.Text("UserRoleId"), "")
				if errors.Is(err, document.ErrNone) {
					continue
				}
				if err != nil {
					return nil, err
				}
				if role, err = octopus.ParseObject(r.Body); err != nil {
					return nil, err
				}
				roles[r.ID] = role
			}
			if err := s.grant(ctx, q, set, role, o, row.Space); err != nil {
				return nil, err
			}
		}
	}
	return set, nil
}

func (s *Service) grant(ctx context.Context, q db.Querier, set *permission.Set, role, scoped octopus.Object, space string) error {
	// A role that grants on the whole server does so wherever it is held (security/users-and-teams/system-and-space-permissions).
	for _, name := range role.Texts("GrantedSystemPermissions") {
		set.System[permission.Name(name)] = true
	}
	if space == "" {
		return nil
	}
	g := permission.Grant{Space: space, Projects: some(scoped.Texts("ProjectIds")), ProjectGroups: some(scoped.Texts("ProjectGroupIds")),
		Environments: some(scoped.Texts("EnvironmentIds")), Tenants: some(scoped.Texts("TenantIds"))}
	if len(g.Projects) > 0 {
		rows, _, err := s.store.List(ctx, q, document.Query{Kind: "Projects", Spaces: []string{space}, IDs: g.Projects})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if o, err := octopus.ParseObject(row.Body); err == nil {
				g.Above = append(g.Above, o.Text("ProjectGroupId"))
			}
		}
	}
	for _, group := range g.ProjectGroups {
		// A group stands for its projects, so that deciding needs no look-up.
		rows, _, err := s.store.List(ctx, q, document.Query{Kind: "Projects", Spaces: []string{space}, Contains: `"` + group + `"`})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if o, err := octopus.ParseObject(row.Body); err == nil && o.Text("ProjectGroupId") == group {
				g.Projects = append(g.Projects, row.ID)
			}
		}
	}
	for _, name := range role.Texts("GrantedSpacePermissions") {
		set.Spaces[permission.Name(name)] = append(set.Spaces[permission.Name(name)], g)
	}
	return nil
}

func some(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

// TeamSet works out what the teams together may do. Teams that are gone grant nothing.
func (s *Service) TeamSet(ctx context.Context, ids []string) (*permission.Set, error) {
	return s.Granted(ctx, s.store.DB.Read(), ids)
}

// Granted is [Service.TeamSet] as a transaction sees it.
func (s *Service) Granted(ctx context.Context, q db.Querier, ids []string) (*permission.Set, error) {
	rows, _, err := s.store.List(ctx, q, document.Query{Kind: "Teams", IDs: ids})
	if err != nil || len(ids) == 0 {
		return &permission.Set{}, err
	}
	var teams []Team
	for _, row := range rows {
		teams = append(teams, Team{ID: row.ID, Space: row.Space})
	}
	return s.grants(ctx, q, teams)
}

// GrantedTo works out what a user may do, active or not, as a transaction sees it.
func (s *Service) GrantedTo(ctx context.Context, q db.Querier, user string) (*permission.Set, error) {
	teams, err := s.teams(ctx, q, user)
	if err != nil {
		return nil, err
	}
	return s.grants(ctx, q, teams)
}

// GrantedBy works out what a role grants with what restricts it (a ScopedUserRole), in the space or, for "", on the server.
func (s *Service) GrantedBy(ctx context.Context, q db.Querier, role, scoped octopus.Object, space string) (*permission.Set, error) {
	set := &permission.Set{System: map[permission.Name]bool{}, Spaces: map[permission.Name][]permission.Grant{}}
	return set, s.grant(ctx, q, set, role, scoped, space)
}

// TeamsOf lists the ids of the teams that a user is in, as a transaction sees it.
func (s *Service) TeamsOf(ctx context.Context, q db.Querier, user string) ([]string, error) {
	teams, err := s.teams(ctx, q, user)
	ids := make([]string, len(teams))
	for i, t := range teams {
		ids[i] = t.ID
	}
	return ids, err
}
