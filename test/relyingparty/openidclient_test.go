package relyingparty_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"odcm/manager/sso"
)

// TestOpenIDClient is npm's openid-client: discovery, PKCE, state, nonce, the issuer in the answer, userinfo, refresh,
// introspection, revocation and signing out.
func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "%s is not installed (make deps)", program)
		}
	}
	folder, err := install()
	if err != nil {
		missing(t, "%v", err)
	}
	p := provider(t)
	const redirect = "http://127.0.0.1:1/callback"
	for _, c := range []struct {
		auth, mode string
		alg        sso.Algorithm
	}{{"basic", "code", sso.ES256}, {"post", "code", sso.RS256}, {"post", "hybrid", sso.RS256}} {
		t.Run(c.auth+" "+c.mode+" "+string(c.alg), func(t *testing.T) {
			party, secret := party(p, redirect, func(p *sso.Party) { p.Algorithm = c.alg })
			settings, _ := json.Marshal(map[string]string{"issuer": p.URL, "id": string(party.ID), "secret": secret, "redirect": redirect, "auth": c.auth, "mode": c.mode})
			cmd := exec.Command("node", filepath.Join(folder, "client.mjs"))
			cmd.Env = append(os.Environ(), "RELYING_PARTY="+string(settings))
			var wrong strings.Builder
			cmd.Stderr = &wrong
			in, err1 := cmd.StdinPipe()
			out, err2 := cmd.StdoutPipe()
			if err1 != nil || err2 != nil || cmd.Start() != nil {
				t.Fatal(err1, err2)
			}
			defer func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			lines := bufio.NewScanner(out)
			lines.Buffer(nil, 1<<20)
			hear := func() (v struct {
				Visit                   string
				Claims, Info, Refreshed map[string]any
				Active, Inactive        bool
			}) {
				t.Helper()
				if !lines.Scan() || json.Unmarshal(lines.Bytes(), &v) != nil {
					_ = in.Close()
					_ = cmd.Wait()
					t.Fatalf("it said %q and %s", lines.Text(), wrong.String())
				}
				return v
			}
			browser := p.Browser("")
			at, form := arrive(t, browser, hear().Visit, redirect)
			if err := json.NewEncoder(in).Encode(map[string]string{"url": at, "form": form}); err != nil {
				t.Fatal(err)
			}
			got := hear()
			if got.Claims["sub"] != "user-ann" || got.Info["name"] != "Ann Example" || got.Refreshed["sub"] != "user-ann" || !got.Active || got.Inactive {
				t.Errorf("%+v", got)
			}
			if bye, _ := arrive(t, browser, got.Visit, redirect); bye != redirect+"?state=bye" {
				t.Errorf("after signing out the browser is at %q", bye)
			}
		})
	}
}

// install makes a folder with the script and its package, of exactly the versions that are locked, once for the tests of a
// process.
var install = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "relyingparty-")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs"} {
		b, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm cannot install openid-client: %w: %s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := install(); err == nil {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}
