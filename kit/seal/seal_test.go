package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/seal"
)

var (
	keyA = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), 32))
	keyB = base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xff}, 16))
)

func open(t testing.TB, d *db.DB, o seal.Options) *seal.Sealer {
	t.Helper()
	s, err := seal.Open(t.Context(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSeal(t testing.TB, s *seal.Sealer, plain, place string) string {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), place)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(t testing.TB, s *seal.Sealer, sealed, place, want string) {
	t.Helper()
	if got, err := s.Open(sealed, place); err != nil || string(got) != want {
		t.Errorf("Open: %q, %v; want %q", got, err, want)
	}
}

func refuses(t testing.TB, err error, code string) {
	t.Helper()
	if odcm.CodeOf(err) != code {
		t.Errorf("got %v; want code %s", err, code)
	}
}

func TestSealedOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d, seal.Options{KeyBase64: keyA})
		for _, plain := range []string{"", "API-SECRET", strings.Repeat("x", 100_000)} {
			sealed := mustSeal(t, s, plain, "space/api_key/space-1")
			opens(t, s, sealed, "space/api_key/space-1", plain)
			if plain != "" && strings.Contains(sealed, plain) {
				t.Error("it is not sealed")
			}
			if again := mustSeal(t, s, plain, "space/api_key/space-1"); again == sealed {
				t.Error("the same secret twice looks the same")
			}
			_, err := s.Open(sealed, "space/api_key/space-2")
			refuses(t, err, "seal.broken")
		}
		_, err := s.Seal(nil, "")
		refuses(t, err, "seal.no-place")
	})
}

func TestChangedSecretsAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.Open(t, dbtest.SQLite(t)), seal.Options{KeyBase64: keyA})
	sealed, _ := base64.StdEncoding.DecodeString(mustSeal(t, s, "secret", "a/b/c"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := s.Open(base64.StdEncoding.EncodeToString(bad), "a/b/c")
		refuses(t, err, "seal.broken")
		_, err = s.Open(base64.StdEncoding.EncodeToString(sealed[:i]), "a/b/c")
		refuses(t, err, "seal.broken")
	}
	_, err := s.Open("not base64!", "a/b/c")
	refuses(t, err, "seal.broken")
}

func TestKeysetSurvivesRestarts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "made", "key")
		sealed := mustSeal(t, open(t, d, seal.Options{KeyFile: path}), "secret", "a/b/c")
		opens(t, open(t, d, seal.Options{KeyFile: path}), sealed, "a/b/c", "secret")
		key, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		opens(t, open(t, d, seal.Options{KeyFile: path + ".other", KeyBase64: string(key)}), sealed, "a/b/c", "secret")
		if _, err := os.Stat(path + ".other"); err == nil {
			t.Error("a key file was made beside the key from the environment")
		}
	})
}

func TestKeyFileIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	path := filepath.Join(t.TempDir(), "key")
	open(t, d, seal.Options{KeyFile: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("made with mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.Open(t.Context(), d, seal.Options{KeyFile: path})
		refuses(t, err, "seal.key-exposed")
		if !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("it does not say what to do: %v", err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	open(t, d, seal.Options{KeyFile: path})
}

func TestOpenTellsWhatIsWrongWithTheKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		dir := t.TempDir()
		garbage := filepath.Join(dir, "garbage")
		if err := os.WriteFile(garbage, []byte("c2VjcmV0IG1hdGVyaWFs"), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, d, seal.Options{KeyBase64: keyA})
		for name, c := range map[string]struct {
			o    seal.Options
			code string
		}{
			"none":              {seal.Options{}, "seal.no-key"},
			"another key":       {seal.Options{KeyBase64: keyB}, "seal.wrong-key"},
			"too short":         {seal.Options{KeyBase64: "c2VjcmV0IG1hdGVyaWFs"}, "seal.bad-key"},
			"not base64":        {seal.Options{KeyBase64: "secret material"}, "seal.bad-key"},
			"a file of garbage": {seal.Options{KeyFile: garbage}, "seal.bad-key"},
			"a missing file":    {seal.Options{KeyFile: filepath.Join(dir, "missing")}, "seal.key-missing"},
			"a folder":          {seal.Options{KeyFile: dir}, "seal.key-file"},
		} {
			_, err := seal.Open(t.Context(), d, c.o)
			refuses(t, err, c.code)
			if err != nil && (strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "secret material")) {
				t.Errorf("%s: the error repeats the key: %v", name, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "missing")); err == nil {
			t.Error("a new key was made although the database has secrets")
		}
	})
}

func TestDamagedKeysetIsTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		open(t, d, seal.Options{KeyBase64: keyA})
		for _, keyset := range []string{"", "!", "AAAA"} {
			if _, err := d.Write().ExecContext(t.Context(), `UPDATE seal_keyset SET keyset = $1`, keyset); err != nil {
				t.Fatal(err)
			}
			_, err := seal.Open(t.Context(), d, seal.Options{KeyBase64: keyA})
			refuses(t, err, "seal.damaged")
		}
	})
}

// Replicas that start together on an empty database agree on one keyset.
func TestFirstRunsAgree(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "key")
		sealers := make([]*seal.Sealer, 6)
		var starting sync.WaitGroup
		for i := range sealers {
			starting.Go(func() {
				var err error
				if sealers[i], err = seal.Open(context.Background(), d, seal.Options{KeyFile: path}); err != nil {
					t.Error(err)
				}
			})
		}
		starting.Wait()
		if t.Failed() {
			return
		}
		for _, s := range sealers {
			opens(t, s, mustSeal(t, sealers[0], "secret", "a/b/c"), "a/b/c", "secret")
		}
	})
}

// Replicas on two machines, each with a key file of its own: one wins, the others are told and leave no useless key.
func TestFirstRunsWithDifferentKeysAreTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		dir := t.TempDir()
		var mu sync.Mutex
		var starting sync.WaitGroup
		won := 0
		for i := range 6 {
			starting.Go(func() {
				path := filepath.Join(dir, fmt.Sprint(i))
				_, err := seal.Open(context.Background(), d, seal.Options{KeyFile: path})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if code := odcm.CodeOf(err); code != "seal.wrong-key" && code != "seal.key-missing" {
					t.Error(err)
				}
			})
		}
		starting.Wait()
		left, err := os.ReadDir(dir)
		if err != nil || won != 1 || len(left) != 1 {
			t.Errorf("%d won, files left: %v, %v", won, left, err)
		}
	})
}

func TestRotateKeyset(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		a, b := open(t, d, seal.Options{KeyBase64: keyA}), open(t, d, seal.Options{KeyBase64: keyA})
		old := mustSeal(t, a, "old", "a/b/c")
		for range 3 {
			if err := a.RotateKeyset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fresh := mustSeal(t, a, "new", "a/b/c")
		if old[:6] == fresh[:6] {
			t.Error("it still seals with the old key")
		}
		for _, s := range []*seal.Sealer{a, b, open(t, d, seal.Options{KeyBase64: keyA})} { // b learns of it from the new secret
			opens(t, s, old, "a/b/c", "old")
			opens(t, s, fresh, "a/b/c", "new")
		}
		if err := b.RotateKeyset(t.Context()); err != nil { // on top of what a did
			t.Fatal(err)
		}
		opens(t, a, mustSeal(t, b, "newest", "a/b/c"), "a/b/c", "newest")
		opens(t, b, fresh, "a/b/c", "new")
	})
}

func TestRotationsAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		var mu sync.Mutex
		var sealed []string
		var rotating sync.WaitGroup
		for range 4 {
			s := open(t, d, seal.Options{KeyBase64: keyA})
			rotating.Go(func() {
				for range 5 {
					if err := s.RotateKeyset(context.Background()); err != nil && odcm.KindOf(err) != odcm.Conflict {
						t.Error(err)
					}
					text, err := s.Seal([]byte("secret"), "a/b/c")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					sealed = append(sealed, text)
					mu.Unlock()
				}
			})
		}
		rotating.Wait()
		s := open(t, d, seal.Options{KeyBase64: keyA})
		for _, text := range sealed {
			opens(t, s, text, "a/b/c", "secret")
		}
	})
}

func TestRotateKEK(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d, seal.Options{KeyBase64: keyA})
		other := open(t, d, seal.Options{KeyBase64: keyA})
		sealed := mustSeal(t, s, "secret", "a/b/c")
		refuses(t, s.RotateKEK(t.Context(), seal.Options{KeyBase64: keyA}), "seal.same-key")
		path := filepath.Join(t.TempDir(), "new")
		if err := s.RotateKEK(t.Context(), seal.Options{KeyFile: path}); err != nil {
			t.Fatal(err)
		}
		opens(t, s, sealed, "a/b/c", "secret")
		opens(t, other, sealed, "a/b/c", "secret") // it has the keyset open
		_, err := seal.Open(t.Context(), d, seal.Options{KeyBase64: keyA})
		refuses(t, err, "seal.wrong-key")
		opens(t, open(t, d, seal.Options{KeyFile: path}), sealed, "a/b/c", "secret")
		refuses(t, other.RotateKeyset(t.Context()), "seal.wrong-key") // it must be started with the new key first
		if err := s.RotateKeyset(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSealerPrintsNoKeys(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.Open(t, dbtest.SQLite(t)), seal.Options{KeyBase64: keyA})
	if got := fmt.Sprintf("%v %+v %s", s, s, s); got != "sealer sealer sealer" {
		t.Errorf("printed %s", got)
	}
}

func FuzzOpen(f *testing.F) {
	s := open(f, dbtest.Open(f, dbtest.SQLite(f)), seal.Options{KeyBase64: keyA})
	f.Add("", "")
	f.Add(mustSeal(f, s, "secret", "a/b/c"), "other")
	f.Fuzz(func(t *testing.T, sealed, place string) {
		if plain, err := s.Open(sealed, place); odcm.CodeOf(err) != "seal.broken" {
			t.Errorf("opened %q as %q, %v", sealed, plain, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := open(b, dbtest.Open(b, dbtest.SQLite(b)), seal.Options{KeyBase64: keyA})
	for b.Loop() {
		opens(b, s, mustSeal(b, s, "API-0123456789ABCDEF", "space/api_key/space-1"), "space/api_key/space-1", "API-0123456789ABCDEF")
	}
}
