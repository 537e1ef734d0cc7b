package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// relying is a relying party that signs one person in, over and over, with the session that the browser has.
type relying struct {
	issuer, id, secret, redirect, cookie string
	process                              *process
}

const (
	benchVerifier = "a-verifier-that-is-long-enough-for-RFC-7636-section-4.1"
	benchPassword = "bench-Password-1"
)

var noRedirect = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// signIn is one round trip: authorize with PKCE, code, tokens.
func (r relying) signIn() (refresh string, err error) {
	sum := sha256.Sum256([]byte(benchVerifier))
	q := url.Values{"client_id": {r.id}, "redirect_uri": {r.redirect}, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	req, err := http.NewRequest(http.MethodGet, r.issuer+"/oauth2/authorize?"+q.Encode(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Cookie", r.cookie)
	res, err := noRedirect.Do(req)
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		return "", fmt.Errorf("no code: %s, %s", res.Status, res.Header.Get("Location"))
	}
	return r.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {r.redirect}, "code_verifier": {benchVerifier}})
}

func (r relying) tokens(form url.Values) (refresh string, err error) {
	form.Set("client_id", r.id)
	form.Set("client_secret", r.secret)
	res, err := noRedirect.PostForm(r.issuer+"/oauth2/token", form)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("tokens: %s %s %w", res.Status, body, err)
	}
	var t struct {
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token"`
	}
	if err := json.Unmarshal(body, &t); err != nil || t.IDToken == "" || t.RefreshToken == "" {
		return "", fmt.Errorf("tokens: %s %w", body, err)
	}
	return t.RefreshToken, nil
}

// refresh spends the worker's token for the next one; the first is of a sign-in.
func (r relying) refresh(kept *string) (err error) {
	if *kept == "" {
		*kept, err = r.signIn()
		return err
	}
	*kept, err = r.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {*kept}})
	return err
}

func (r relying) documents() error {
	for _, path := range []string{"/.well-known/openid-configuration", "/oauth2/keys"} {
		res, err := noRedirect.Get(r.issuer + path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s %w", path, res.Status, err)
		}
	}
	return nil
}

// provider starts a manager, registers a relying party there and signs its administrator in.
func (b *bench) provider(database, alg string) (r relying, err error) {
	dir, err := os.MkdirTemp(b.dir, "sso-")
	if err != nil {
		return r, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(b.odcm, "serve", "--listen", address, "--agent-listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"),
		"--database", database, "--log-level", "error")
	cmd.Env = append(os.Environ(), "ODCM_ADMIN_USERNAME=admin", "ODCM_ADMIN_PASSWORD="+benchPassword, "ODCM_ADMIN_API_KEY=odcm_"+strings.Repeat("b", 40))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return r, err
	}
	r = relying{issuer: "http://" + address, redirect: "https://rp.example/back", process: &process{cmd: cmd}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		res, err := noRedirect.Get(r.issuer + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if ctx.Err() != nil {
			r.process.stop()
			return r, fmt.Errorf("the manager is not ready: %s", said.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err = r.register(alg); err == nil {
		r.cookie, err = r.enter()
	}
	if err != nil {
		r.process.stop()
	}
	return r, err
}

func (r *relying) register(alg string) error {
	body, _ := json.Marshal(map[string]any{"name": "Bench", "redirectUris": []string{r.redirect}, "algorithm": alg})
	req, err := http.NewRequest(http.MethodPost, r.issuer+"/api/v1/relying-parties", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer odcm_"+strings.Repeat("b", 40))
	req.Header.Set("Content-Type", "application/json")
	res, err := noRedirect.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var made struct{ ID, Secret string }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || made.Secret == "" {
		return fmt.Errorf("register a relying party: %s %w", res.Status, err)
	}
	r.id, r.secret = made.ID, made.Secret
	return nil
}

// enter signs the administrator in by password, and returns the cookie.
func (r relying) enter() (cookie string, err error) {
	res, err := noRedirect.PostForm(r.issuer+"/sign-in", url.Values{"username": {"admin"}, "password": {benchPassword}})
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	var all []string
	for _, c := range res.Cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	if len(all) == 0 {
		return "", fmt.Errorf("sign in: %s", res.Status)
	}
	return strings.Join(all, "; "), nil
}
