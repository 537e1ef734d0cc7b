package signin

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
)

// keyring holds the key that this server signs access tokens with. It is made when the first token or the first look at
// the keys needs it, and lies sealed in the database, where all nodes find the same one.
type keyring struct {
	mu     sync.Mutex
	loaded *jose.JSONWebKey
}

// signingKey is the name of the setting that holds it.
const signingKey = "signing-key"

func (s *Service) signer(ctx context.Context) (*jose.JSONWebKey, error) {
	s.key.mu.Lock()
	defer s.key.mu.Unlock()
	if s.key.loaded != nil {
		return s.key.loaded, nil
	}
	secrets, err := s.Service.Revealed(ctx, signingKey)
	if err != nil {
		return nil, err
	}
	if secrets["/Key"] == "" {
		if err := s.makeKey(ctx); err != nil {
			return nil, err
		}
		if secrets, err = s.Service.Revealed(ctx, signingKey); err != nil {
			return nil, err
		}
	}
	der, err := base64.StdEncoding.DecodeString(secrets["/Key"])
	if err != nil {
		return nil, err
	}
	private, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	public := key.Public()
	print, err := public.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return nil, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(print)
	s.key.loaded = &key
	return &key, nil
}

// makeKey makes the key where no other node did so meanwhile.
func (s *Service) makeKey(ctx context.Context) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return err
	}
	var o octopus.Object
	o.Set("Key", map[string]any{"HasValue": true, "NewValue": base64.StdEncoding.EncodeToString(der)})
	if err := s.Service.Ready(); err != nil {
		return err
	}
	return s.Service.Transact(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		mine, err := c.Setting(signingKey, identity.Hash(string(der)))
		if err != nil || mine != identity.Hash(string(der)) {
			return err
		}
		_, err = c.Conceal(signingKey, o)
		return err
	})
}

// Keys are the public keys of this server's tokens (RFC 7517), for whoever wants to check one.
func (s *Service) Keys(ctx context.Context) (jose.JSONWebKeySet, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}, nil
}
