package seal

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"odcm"
	"odcm/kit/db"
)

//go:embed schema/*.sql
var files embed.FS

// place binds the wrapped keyset to where it lies.
var place = []byte("seal_keyset/keyset/1")

// Sealer seals and opens secrets. It is safe for concurrent use.
type Sealer struct {
	d    *db.DB
	keys atomic.Pointer[keys]
	mu   sync.Mutex // one change of keys at a time
}

// keys is one revision of the keyset, open.
type keys struct {
	tink.AEAD
	kek      wrapper // that it is wrapped under
	handle   *keyset.Handle
	ids      map[uint32]bool
	revision int64
}

// Open opens the keyset of the database and makes it on first run; replicas that start together agree on one. Codes:
// "seal.wrong-key" where the key is not the one that wrapped the keyset, "seal.key-missing", "seal.key-exposed",
// "seal.key-file", "seal.bad-key" and "seal.no-key" where something is wrong with the key itself, "seal.damaged" where the
// keyset is.
func Open(ctx context.Context, d *db.DB, o Options) (_ *Sealer, err error) {
	defer odcm.Wrap(&err, "open secrets")
	schema, err := fs.Sub(files, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "seal", schema); err != nil {
		return nil, err
	}
	s := &Sealer{d: d}
	r, err := s.read(ctx)
	first := errors.Is(err, sql.ErrNoRows)
	if err != nil && !first {
		return nil, err
	}
	kek, made, err := o.load(first)
	if err != nil {
		return nil, err
	}
	if first {
		if r, err = s.create(ctx, kek); err != nil {
			return nil, err
		}
	}
	if err := s.use(r, kek); err != nil {
		if made && odcm.CodeOf(err) == "seal.wrong-key" { // another replica was first, with its own key: this one is good for nothing
			_ = os.Remove(o.KeyFile)
		}
		return nil, err
	}
	return s, nil
}

// row is the keyset as it lies in the database.
type row struct {
	keyset, wrapper string
	revision        int64
}

func (s *Sealer) read(ctx context.Context) (r row, err error) {
	err = s.d.Read().QueryRowContext(ctx, `SELECT keyset, wrapper, revision FROM seal_keyset WHERE one = 1`).
		Scan(&r.keyset, &r.wrapper, &r.revision)
	return r, err
}

// create writes a new keyset unless another replica was faster, and returns the one that stands.
func (s *Sealer) create(ctx context.Context, kek wrapper) (row, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return row{}, err
	}
	wrapped, err := wrap(handle, kek)
	if err != nil {
		return row{}, err
	}
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO seal_keyset (one, keyset, wrapper, revision) VALUES (1, $1, $2, 1)
ON CONFLICT (one) DO NOTHING`, wrapped, kek.check)
		return err
	})
	if err != nil {
		return row{}, err
	}
	return s.read(ctx)
}

// use unwraps the row and seals with it from now on.
func (s *Sealer) use(r row, kek wrapper) error {
	if r.wrapper != kek.check {
		return odcm.E(odcm.Invalid, "seal.wrong-key", "this is not the key that the secrets in the database were sealed with: "+
			"use the key of the other replicas, or the one from the backup")
	}
	damaged := odcm.E(odcm.Internal, "seal.damaged", "the keyset in the database is damaged: restore it from a backup")
	wrapped, err := base64.StdEncoding.DecodeString(r.keyset)
	if err != nil {
		return damaged.Because(err)
	}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), kek, place)
	if err != nil {
		return damaged.Because(err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return damaged.Because(err)
	}
	k := &keys{AEAD: a, kek: kek, handle: handle, ids: map[uint32]bool{}, revision: r.revision}
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		k.ids[info.GetKeyId()] = true
	}
	s.keys.Store(k)
	return nil
}

func wrap(handle *keyset.Handle, kek wrapper) (string, error) {
	var b bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&b), kek, place); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// Seal encrypts the secret for its place, "table/column/id", and returns base64 of some 45 bytes more.
func (s *Sealer) Seal(plain []byte, place string) (string, error) {
	if place == "" {
		return "", odcm.E(odcm.Internal, "seal.no-place", "a secret must be sealed for its place: table/column/id")
	}
	sealed, err := s.keys.Load().Encrypt(plain, []byte(place))
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what [Sealer.Seal] made for the same place. Where it was changed, or sealed for another place or by
// another keyset, the code is "seal.broken".
func (s *Sealer) Open(sealed, place string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, broken(err)
	}
	k := s.keys.Load()
	if id, ok := keyOf(b); ok && !k.ids[id] { // another replica may have rotated the keyset
		if k, err = s.renewed(); err != nil {
			return nil, err
		}
	}
	plain, err := k.Decrypt(b, []byte(place))
	if err != nil {
		return nil, broken(err)
	}
	return plain, nil
}

func broken(cause error) error {
	return odcm.E(odcm.Internal, "seal.broken", "a stored secret cannot be opened: it was changed or moved").Because(cause)
}

// keyOf reads the identifier of the key from Tink's prefix: 0x01 and four bytes (Tink wire format, "Crypto formats").
func keyOf(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:5]), true
}

func (s *Sealer) renewed() (*keys, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.reload(ctx)
	return s.keys.Load(), err
}

// reload reads the row where its revision is another than the present one. The mutex must be held.
func (s *Sealer) reload(ctx context.Context) error {
	r, err := s.read(ctx)
	if err != nil {
		return err
	}
	if r.revision == s.keys.Load().revision {
		return nil
	}
	return s.use(r, s.keys.Load().kek)
}

// String keeps keys out of what is printed.
func (s *Sealer) String() string { return "sealer" }
