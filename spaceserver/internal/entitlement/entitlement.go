// Package entitlement keeps who may enter this server while the ODCM that signs people in does not answer: a snapshot that
// ODCM signs, that says when it ends, and that is fetched again every few minutes.
//
// ODCM tells in its discovery document that it is more than any OpenID provider: "odcm_entitlements_endpoint" is where a
// relying party gets the snapshot, with its own client id and secret, and "odcm_spaces_menu" is the script of the menu of
// Spaces. A provider that says neither is not an ODCM, and nothing here does anything.
package entitlement

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"odcm/spaceserver/internal/document"
)

// Type is the header "typ" of a snapshot, so that no other token of the issuer is taken for one (RFC 8725 section 3.11).
const Type = "odcm-entitlements+jwt"

// Source is an OpenID provider as it is configured in a slot of this server.
type Source struct{ Slot, Issuer, Client, Secret string }

// Person is somebody who may enter.
type Person struct {
	Subject string   `json:"sub"`
	Groups  []string `json:"groups,omitempty"`
}

// claims are what a snapshot says.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Taken    int64    `json:"iat"`
	Ends     int64    `json:"exp"`
	People   []Person `json:"people"`
}

// Companion is the ODCM that signs people in here.
type Companion struct {
	Slot   string // by the name in identities: "Okta", "Generic OIDC"
	Issuer string
	Menu   string // address of the script of the menu of Spaces; "" where it has none
}

// Entitlement is what the snapshot says about a person.
type Entitlement struct {
	Companion
	Groups       []string
	Taken, Until time.Time
}

// ErrNone says that the person may not be let in by the snapshot: there is none, it has ended, or he is not in it.
var ErrNone = errors.New("no entitlement")

// Options are what the keeper needs; all but Now and Logger.
type Options struct {
	Store   *document.Store
	Sources func(ctx context.Context) ([]Source, error)
	Client  func() (*http.Client, error)
	Now     func() time.Time
	Logger  *slog.Logger
}

// Keeper fetches, keeps and reads the snapshot.
type Keeper struct {
	Options

	mu     sync.Mutex
	read   time.Time // when what is stored was read: another node may have fetched it
	kept   kept
	people map[string]Person
	until  time.Time // of people
	taken  time.Time
	asked  time.Time // when it was last tried whether ODCM answers
	answer bool
}

// kept is what is stored, as it came: it is checked each time that it is read.
type kept struct {
	Companion
	Client   string
	Endpoint string
	Keys     jose.JSONWebKeySet
	Snapshot string
}

const setting = "odcm/entitlements"

// New makes a keeper. It does nothing by itself: see [Keeper.Refresh].
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{Options: o}
}

// Again is when to refresh next. A person who lost every Space is out of the next snapshot; as long as ODCM answers nobody
// needs it.
func Again(last time.Time) time.Time {
	if last.IsZero() {
		return time.Now().Add(time.Minute)
	}
	return last.Add(5 * time.Minute)
}

// Companion tells which ODCM signs people in here, as it was last found; no Issuer where none does. It asks nobody.
func (k *Keeper) Companion(ctx context.Context) (Companion, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.load(ctx)
	return k.kept.Companion, err
}

// Menu is the address of the script of the menu of Spaces, "" where there is none. It asks nobody.
func (k *Keeper) Menu(ctx context.Context) string {
	c, err := k.Companion(ctx)
	if err != nil {
		k.Logger.ErrorContext(ctx, "the entitlements could not be read", "error", err)
	}
	return c.Menu
}

// load reads what is stored, at most once a minute. The mutex is held.
func (k *Keeper) load(ctx context.Context) error {
	now := k.Now()
	if !k.read.IsZero() && now.Sub(k.read) < time.Minute {
		return nil
	}
	text, err := k.Store.Setting(ctx, k.Store.DB.Read(), setting)
	if err != nil {
		return err
	}
	var stored kept
	if text != "" {
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			return fmt.Errorf("stored entitlements: %w", err)
		}
	}
	k.read = now
	return k.use(stored)
}

// use checks and takes a snapshot. The mutex is held.
func (k *Keeper) use(stored kept) error {
	if stored.Snapshot == k.kept.Snapshot && stored.Companion == k.kept.Companion {
		return nil
	}
	c, err := verify(stored)
	if err != nil {
		return err
	}
	people := make(map[string]Person, len(c.People))
	for _, p := range c.People {
		people[p.Subject] = p
	}
	k.kept, k.people, k.taken, k.until = stored, people, time.Unix(c.Taken, 0).UTC(), time.Unix(c.Ends, 0).UTC()
	return nil
}

// algorithms are those that ODCM signs with.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// verify checks who signed the snapshot, for whom, and that it is one.
func verify(k kept) (c claims, err error) {
	if k.Snapshot == "" {
		return c, nil
	}
	signed, err := jose.ParseSignedCompact(k.Snapshot, algorithms)
	if err != nil {
		return c, fmt.Errorf("the snapshot is not signed as it must be: %w", err)
	}
	header := signed.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != Type {
		return c, fmt.Errorf("the snapshot is a token of another kind: %q", typ)
	}
	keys := k.Keys.Key(header.KeyID)
	if header.KeyID == "" || len(keys) != 1 {
		return c, errors.New("the snapshot is signed with a key that the issuer does not have")
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		return c, fmt.Errorf("the snapshot's signature does not stand the check: %w", err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, fmt.Errorf("the snapshot is not readable: %w", err)
	}
	if c.Issuer != k.Issuer || c.Audience != k.Client || c.Taken == 0 || c.Ends == 0 {
		return c, errors.New("the snapshot is for another server, or another issuer's")
	}
	return c, nil
}

// Entitled says what the snapshot holds for the subject, or [ErrNone].
func (k *Keeper) Entitled(ctx context.Context, subject string) (Entitlement, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil {
		return Entitlement{}, err
	}
	now := k.Now()
	p, ok := k.people[subject]
	if !ok || subject == "" || !now.Before(k.until) || now.Before(k.taken.Add(-skew)) {
		return Entitlement{}, ErrNone
	}
	return Entitlement{Companion: k.kept.Companion, Groups: slices.Clone(p.Groups), Taken: k.taken, Until: k.until}, nil
}

// skew is how far the clocks of ODCM and this server may differ.
const skew = 5 * time.Minute

const (
	patience = 20 * time.Second // for a whole refresh
	moment   = 2 * time.Second  // that ODCM has to show that it is there while somebody waits
	believed = 5 * time.Second  // how long that is believed
	largest  = 16 << 20         // bytes of a snapshot
)

// Reachable tells whether ODCM answers. Many who ask at once ask it once.
func (k *Keeper) Reachable(ctx context.Context) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil || k.kept.Issuer == "" {
		return false
	}
	if now := k.Now(); now.Sub(k.asked) >= believed || now.Before(k.asked) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), moment)
		defer cancel()
		_, err := k.discover(bounded, k.kept.Issuer)
		k.asked, k.answer = k.Now(), err == nil
	}
	return k.answer
}

// Discovery is what of the document of OpenID Connect Discovery 1.0 matters here.
type Discovery struct {
	Issuer   string `json:"issuer"`
	Keys     string `json:"jwks_uri"`
	Menu     string `json:"odcm_spaces_menu"`
	Endpoint string `json:"odcm_entitlements_endpoint"`
}

// IsODCM tells whether the issuer is an ODCM.
func (d Discovery) IsODCM() bool { return d.Menu != "" || d.Endpoint != "" }

func (k *Keeper) discover(ctx context.Context, issuer string) (d Discovery, err error) {
	err = k.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", nil, 1<<20, func(b []byte) error { return json.Unmarshal(b, &d) })
	if err == nil && strings.TrimSuffix(d.Issuer, "/") != strings.TrimSuffix(issuer, "/") {
		return d, fmt.Errorf("the description at %s is of another issuer", issuer)
	}
	return d, err
}

func (k *Keeper) get(ctx context.Context, address string, with *Source, limit int64, take func([]byte) error) error {
	client, err := k.Client()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if with != nil { // in the body, as the secret goes for a token (RFC 6749 section 2.3.1)
		form := url.Values{"client_id": {with.Client}, "client_secret": {with.Secret}}
		r, err = http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	}
	if err != nil {
		return err
	}
	if with != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w, err := client.Do(r)
	if err != nil {
		return err
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", r.URL.Redacted(), w.Status)
	}
	b, err := io.ReadAll(io.LimitReader(w.Body, limit+1))
	if err != nil {
		return err
	}
	if int64(len(b)) > limit {
		return fmt.Errorf("%s sent more than %d bytes", r.URL.Redacted(), limit)
	}
	return take(b)
}

// Refresh finds the ODCM among the configured providers, and fetches its snapshot. Where it does not answer, what is kept
// stays; where none of the providers is an ODCM any more, nothing stays.
func (k *Keeper) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sources, err := k.Sources(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, s := range sources {
		found, err := k.fetch(ctx, s)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if found.Issuer != "" {
			return k.keep(ctx, found)
		}
	}
	k.mu.Lock()
	err = k.load(ctx)
	known := k.kept.Companion
	k.mu.Unlock()
	stays := slices.ContainsFunc(sources, func(s Source) bool { return s.Issuer == known.Issuer })
	if err == nil && known.Issuer != "" && (!stays || failed == nil) {
		return k.keep(ctx, kept{})
	}
	if failed != nil {
		k.Logger.WarnContext(ctx, "the entitlements were not refreshed", "error", failed)
	}
	return err
}

// fetch asks one provider; without an Issuer it is no ODCM.
func (k *Keeper) fetch(ctx context.Context, s Source) (kept, error) {
	d, err := k.discover(ctx, s.Issuer)
	if err != nil || !d.IsODCM() {
		return kept{}, err
	}
	found := kept{Companion: Companion{Slot: s.Slot, Issuer: d.Issuer, Menu: d.Menu}, Client: s.Client, Endpoint: d.Endpoint}
	if !within(d.Menu, d.Issuer) {
		return kept{}, fmt.Errorf("the menu of %s is at another address", d.Issuer)
	}
	if d.Endpoint == "" || s.Secret == "" {
		return found, nil
	}
	if !within(d.Endpoint, d.Issuer) || !within(d.Keys, d.Issuer) { // the secret goes to the issuer and to nobody else
		return kept{}, fmt.Errorf("the entitlements of %s are at another address", d.Issuer)
	}
	if err := k.get(ctx, d.Keys, nil, 1<<20, func(b []byte) error { return json.Unmarshal(b, &found.Keys) }); err != nil {
		return kept{}, err
	}
	err = k.get(ctx, d.Endpoint, &s, largest, func(b []byte) error { found.Snapshot = strings.TrimSpace(string(b)); return nil })
	if err != nil {
		return kept{}, err
	}
	_, err = verify(found)
	return found, err
}

// within tells whether the address is the issuer's own, or empty.
func within(address, issuer string) bool {
	a, err1 := url.Parse(address)
	i, err2 := url.Parse(issuer)
	return address == "" || err1 == nil && err2 == nil && a.Scheme == i.Scheme && a.Host == i.Host
}

// keep stores what was found, unless it is older than what is kept: a snapshot that is played back must not let anybody in
// again who has left.
func (k *Keeper) keep(ctx context.Context, found kept) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := verify(found)
	if err != nil {
		return err
	}
	if found.Issuer != "" && found.Issuer == k.kept.Issuer && found.Snapshot != "" && time.Unix(c.Taken, 0).Before(k.taken) {
		return fmt.Errorf("%s sent a snapshot that is older than the one before", found.Issuer)
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if err := k.Store.Tx(ctx, func(tx *sql.Tx) error { return k.Store.Set(ctx, tx, setting, string(text)) }); err != nil {
		return err
	}
	k.read = k.Now()
	return k.use(found)
}
