package web

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm"
	"odcm/kit/db"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	// keptFor is how long an answer is given again.
	keptFor = 24 * time.Hour
	// claimedFor is how long a request may work before another may take its place: its replica was killed.
	claimedFor = 2 * time.Minute
)

//go:embed schema
var schema embed.FS

// idempotency keeps the answers of POST requests that carry an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header),
// for each principal apart. Only what succeeded is kept: a request that was refused did nothing, and may be mended and
// sent again under the same key.
type idempotency struct {
	db        *db.DB
	now       func() time.Time
	nextPrune atomic.Int64
}

// answer is what was answered.
type answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

func newIdempotency(d *db.DB, now func() time.Time) *idempotency {
	return &idempotency{db: d, now: now}
}

func (o *idempotency) migrate(ctx context.Context) error {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return err
	}
	return o.db.Migrate(ctx, "web", steps)
}

// idempotent is the middleware of the REST API.
func (s *Site) idempotent(c huma.Context, next func(huma.Context)) {
	key := c.Header(idempotencyHeader)
	if key == "" || c.Method() != http.MethodPost {
		next(c)
		return
	}
	r, w := humago.Unwrap(c)
	r = r.WithContext(c.Context())
	if err := s.answerOnce(w, r, key, func(w http.ResponseWriter) { next(humago.NewContext(c.Operation(), r, w)) }); err != nil {
		s.Error(w, r, err)
	}
}

// answerOnce gives the stored answer, or lets work answer and stores that.
func (s *Site) answerOnce(w http.ResponseWriter, r *http.Request, key string, work func(http.ResponseWriter)) error {
	o, p := s.once, Principal(r.Context())
	switch {
	case o.db == nil:
		return odcm.E(odcm.Unsupported, "request.no-idempotency", "Idempotency-Key is not supported here.")
	case p.User == "":
		return odcm.E(odcm.Invalid, codeMalformed, "Idempotency-Key is for those who are signed in.")
	case len(key) > 255:
		return odcm.E(odcm.Invalid, codeMalformed, "Idempotency-Key may have at most 255 characters.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	id := digest("id", string(p.User), key)
	request := digest("request", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), string(body))

	claim, stored, err := o.begin(r.Context(), id, request)
	if err != nil {
		return err
	}
	if claim == "" {
		a, err := open(stored, key, id)
		if err != nil {
			return err
		}
		replay(w, a)
		return nil
	}
	rec := &answerRecorder{ResponseWriter: w}
	// What was done is done even if the client is gone: the answer is stored, and claims are given back, without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	finished := false
	defer func() {
		if !finished {
			if err := o.release(ctx, id, claim); err != nil {
				s.o.Logger.WarnContext(ctx, "give up idempotency claim", "request", RequestID(ctx), "error", err)
			}
		}
	}()
	work(rec)
	if rec.status < 200 || rec.status > 299 {
		return nil
	}
	sealed, err := seal(answer{rec.status, kept(w.Header()), rec.body.Bytes()}, key, id)
	if err == nil {
		err = o.finish(ctx, id, claim, sealed)
	}
	if err != nil {
		s.o.Logger.ErrorContext(ctx, "keep answer", "request", RequestID(ctx), "error", err)
	}
	finished = true // even if it could not be kept: the claim then keeps a second request out for a while
	return nil
}

// begin claims the request, or returns the stored answer. It refuses a key that was used for another request, and one
// whose request is being worked on.
func (o *idempotency) begin(ctx context.Context, id, request string) (claim, stored string, err error) {
	now := o.now()
	if due := o.nextPrune.Load(); now.UnixMilli() >= due && o.nextPrune.CompareAndSwap(due, now.Add(time.Minute).UnixMilli()) {
		if err := o.prune(ctx, now); err != nil {
			return "", "", err
		}
	}
	claim = rand.Text()
	var known, working string
	err = o.db.Tx(ctx, func(tx *sql.Tx) error {
		var mine string
		err := tx.QueryRowContext(ctx, `INSERT INTO web_idempotency (id, request, claim, answer, expires_at) VALUES ($1, $2, $3, '', $4)
			ON CONFLICT (id) DO UPDATE SET request = excluded.request, claim = excluded.claim, answer = '', expires_at = excluded.expires_at
			WHERE web_idempotency.expires_at <= $5 RETURNING claim`,
			id, request, claim, db.Millis(now.Add(claimedFor)), db.Millis(now)).Scan(&mine)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT request, claim, answer FROM web_idempotency WHERE id = $1`, id).Scan(&known, &working, &stored)
	})
	switch {
	case err != nil:
		return "", "", err
	case known == "":
		return claim, "", nil
	case known != request:
		return "", "", odcm.E(odcm.Invalid, "request.idempotency-key-reused", "This Idempotency-Key was used for a different request: choose a new one.")
	case working != "":
		return "", "", odcm.E(odcm.Conflict, "request.in-progress", "The first request with this Idempotency-Key is still being worked on. Try again in a moment.")
	}
	return "", stored, nil
}

func (o *idempotency) finish(ctx context.Context, id, claim, sealed string) error {
	return o.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE web_idempotency SET claim = '', answer = $1, expires_at = $2 WHERE id = $3 AND claim = $4`,
			sealed, db.Millis(o.now().Add(keptFor)), id, claim)
		return err
	})
}

func (o *idempotency) release(ctx context.Context, id, claim string) error {
	return o.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM web_idempotency WHERE id = $1 AND claim = $2`, id, claim)
		return err
	})
}

func (o *idempotency) prune(ctx context.Context, now time.Time) error {
	return o.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM web_idempotency WHERE expires_at <= $1`, db.Millis(now))
		return err
	})
}

// digest hashes the parts, each with its length, so that no two lists of parts give the same text.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// seal encrypts an answer, which may hold a new secret, under a key that only a client who knows the Idempotency-Key can
// bring again (HKDF, RFC 5869; AES-256-GCM).
func seal(a answer, key, id string) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	aead, err := aeadOf(key, id)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, plain, []byte(id))), nil
}

func open(sealed, key, id string) (a answer, err error) {
	defer odcm.Wrap(&err, "read stored answer")
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return a, err
	}
	aead, err := aeadOf(key, id)
	if err != nil {
		return a, err
	}
	plain, err := aead.Open(nil, nil, data, []byte(id))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(plain, &a)
}

func aeadOf(key, id string) (cipher.AEAD, error) {
	secret, err := hkdf.Key(sha256.New, []byte(key), []byte(id), "odcm idempotency answer", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// kept leaves out what belongs to one answer only.
func kept(h http.Header) http.Header {
	k := http.Header{}
	for _, name := range []string{"Content-Type", "Etag", "Location"} {
		if v := h.Values(name); len(v) > 0 {
			k[name] = v
		}
	}
	return k
}

func replay(w http.ResponseWriter, a answer) {
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.Header().Set(replayedHeader, "true")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// answerRecorder keeps a copy of what is answered.
type answerRecorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *answerRecorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerRecorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *answerRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
