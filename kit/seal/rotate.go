package seal

import (
	"context"
	"database/sql"
	"errors"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"odcm"
)

// RotateKeyset adds a new key, with which everything is sealed from now on; older secrets still open. It is a conflict
// where another replica rotates at the same time.
func (s *Sealer) RotateKeyset(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "rotate the keyset")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(ctx); err != nil {
		return err
	}
	k := s.keys.Load()
	m := keyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	if err := m.SetPrimary(id); err != nil {
		return err
	}
	handle, err := m.Handle()
	if err != nil {
		return err
	}
	return s.replace(ctx, handle, k.kek, k.revision)
}

// RotateKEK wraps the keyset under the key that the options give, a new one where its file is missing. Start every replica
// with it from then on. It must be another key than the present one.
func (s *Sealer) RotateKEK(ctx context.Context, to Options) (err error) {
	defer odcm.Wrap(&err, "rotate the key-encryption key")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(ctx); err != nil {
		return err
	}
	kek, made, err := to.load(true)
	if err != nil {
		return err
	}
	if kek.check == s.keys.Load().kek.check {
		return odcm.E(odcm.Invalid, "seal.same-key", "this is the present key: name a new file or give another key")
	}
	k := s.keys.Load()
	err = s.replace(ctx, k.handle, kek, k.revision)
	if made && odcm.KindOf(err) == odcm.Conflict { // nothing was wrapped with it; after another error it may have been
		return errors.Join(err, os.Remove(to.KeyFile))
	}
	return err
}

// replace writes the keyset where the row is still of the revision, and uses it. The mutex must be held.
func (s *Sealer) replace(ctx context.Context, handle *keyset.Handle, kek wrapper, revision int64) error {
	wrapped, err := wrap(handle, kek)
	if err != nil {
		return err
	}
	err = s.d.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE seal_keyset SET keyset = $1, wrapper = $2, revision = revision + 1
WHERE one = 1 AND revision = $3`, wrapped, kek.check, revision)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return odcm.E(odcm.Conflict, "seal.rotated", "another replica rotates keys at this moment: try again")
	})
	if err != nil {
		return err
	}
	return s.use(row{keyset: wrapped, wrapper: kek.check, revision: revision + 1}, kek)
}
