package fleet_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/fleet/fleettest"
)

func TestEnrolment(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	token, err := r.CreateToken(ctx, odcm.System, "", time.Hour, plain)
	if err != nil {
		t.Fatal(err)
	}
	k, csr := key(t)
	first, err := r.Enrol(ctx, plain(token.Secret), csr, "  mach\x00ine ", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(first.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the same machine may ask again", func(t *testing.T) {
		again, err := r.Enrol(ctx, plain(token.Secret), csr, "machine", "1.0.0")
		if err != nil || again.Server != first.Server {
			t.Errorf("%+v, %v", again.Server, err)
		}
	})
	t.Run("another machine is refused", func(t *testing.T) {
		_, other := key(t)
		if _, err := r.Enrol(ctx, plain(token.Secret), other, "machine", "1.0.0"); odcm.CodeOf(err) != "fleet.token-refused" {
			t.Errorf("%v", err)
		}
	})
	t.Run("the name is cleaned", func(t *testing.T) {
		if s, err := r.Store.Server(ctx, first.Server); err != nil || s.Name != "machine" {
			t.Errorf("%q, %v", s.Name, err)
		}
	})
	t.Run("its certificate identifies it", func(t *testing.T) {
		if s, err := r.Identify(ctx, certificate); err != nil || s.ID != first.Server {
			t.Errorf("%v, %v", s.ID, err)
		}
	})
	t.Run("a certificate for another key does not, whoever signed it", func(t *testing.T) {
		other, _ := key(t)
		forged := *certificate
		forged.PublicKey = &other.PublicKey
		if _, err := r.Identify(ctx, &forged); odcm.CodeOf(err) != "fleet.certificate-refused" {
			t.Errorf("%v", err)
		}
	})
	t.Run("it is renewed for its own key only", func(t *testing.T) {
		s, _ := r.Store.Server(ctx, first.Server)
		r.clock.Add(24 * time.Hour)
		renewed, err := r.Renew(ctx, s, request(t, k))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := x509.ParseCertificate(renewed); err != nil || !c.NotAfter.After(certificate.NotAfter) {
			t.Errorf("%v", err)
		}
		_, other := key(t)
		if _, err := r.Renew(ctx, s, other); odcm.CodeOf(err) != "fleet.request-key" {
			t.Errorf("%v", err)
		}
	})
	t.Run("an expired token is refused, even its own machine", func(t *testing.T) {
		if _, err := r.Enrol(ctx, plain(token.Secret), csr, "machine", "1.0.0"); odcm.CodeOf(err) != "fleet.token-refused" {
			t.Errorf("%v", err)
		}
	})
	t.Run("requests that cannot be used are refused", func(t *testing.T) {
		weak, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		broken := append([]byte{}, csr...)
		broken[len(broken)-1] ^= 1
		for name, bad := range map[string][]byte{"empty": nil, "another kind of key": request(t, weak), "not signed by its key": broken, "too large": make([]byte, 5000)} {
			if _, err := r.Enrol(ctx, "any", bad, "machine", ""); odcm.CodeOf(err) != "fleet.request" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("only who may makes tokens", func(t *testing.T) {
		if _, err := r.CreateToken(ctx, member, "", 0, plain); odcm.KindOf(err) != odcm.Denied {
			t.Errorf("%v", err)
		}
		for _, life := range []time.Duration{time.Second, 8 * 24 * time.Hour, -time.Hour} {
			if _, err := r.CreateToken(ctx, odcm.System, "", life, plain); odcm.CodeOf(err) != "fleet.token-life" {
				t.Errorf("%s: %v", life, err)
			}
		}
	})
}

// TestRestart opens the same database again: authority and tokens are what they were.
func TestRestart(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		sealer := fleettest.NewSealer(t)
		before := fleettest.New(t, dbtest.Open(t, url), sealer, nil)
		token, err := before.CreateToken(t.Context(), odcm.System, "", 0, plain)
		if err != nil {
			t.Fatal(err)
		}
		after := fleettest.New(t, dbtest.Open(t, url), sealer, nil)
		if before.Fingerprint() != after.Fingerprint() || token.Authority != after.Fingerprint() {
			t.Error("the authority is another one")
		}
		_, csr := key(t)
		if _, err := after.Enrol(t.Context(), plain(token.Secret), csr, "machine", ""); err != nil {
			t.Error(err)
		}
	})
}
