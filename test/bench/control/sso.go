package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// issuer is the least that an OpenID provider can do: one session, one client, PKCE, one signature a sign-in, and codes and
// refresh tokens that work once, also after a power cut: what is spent stands in memory and in a journal.
type issuer struct {
	mu     sync.Mutex
	spent  map[string]bool
	spends *journal
	aead   cipher.AEAD
	signer crypto.Signer
	alg    string
	url    string
}

type issued struct {
	Use, Challenge, Redirect, ID string
	Until                        int64
}

// journal is a table of identifiers that are durable when write returns, as durable as ODCM's rows: those that come while others
// are committed go together.
type journal struct {
	db   *sql.DB
	mu   sync.Mutex
	next *batch // that gathers; nil where nobody waits
	busy bool
}

type batch struct {
	ids  []any
	err  error
	done chan struct{}
}

// openJournal opens the table in SQLite or PostgreSQL.
func openJournal(url string) (j *journal, err error) {
	j = &journal{}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		j.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	} else {
		j.db, err = sql.Open("pgx", url)
	}
	if err == nil {
		j.db.SetMaxOpenConns(1)
		_, err = j.db.Exec(`CREATE TABLE spent (id TEXT PRIMARY KEY)`)
	}
	return j, err
}

func (j *journal) write(id string) error {
	j.mu.Lock()
	if j.next == nil {
		j.next = &batch{done: make(chan struct{})}
	}
	mine := j.next
	mine.ids = append(mine.ids, id)
	if !j.busy {
		j.busy = true
		go j.run()
	}
	j.mu.Unlock()
	<-mine.done
	return mine.err
}

func (j *journal) run() {
	for {
		runtime.Gosched() // whoever is about to come in comes along
		j.mu.Lock()
		now := j.next
		j.next, j.busy = nil, now != nil
		j.mu.Unlock()
		if now == nil {
			return
		}
		query := "INSERT INTO spent VALUES ($1)"
		for i := range now.ids[1:] {
			query += ",($" + strconv.Itoa(i+2) + ")"
		}
		_, now.err = j.db.Exec(query, now.ids...)
		close(now.done)
	}
}

// sso serves the control for sign-ins and refreshes, by ES256 or RS256, with the journal in the database.
func sso(alg, database string) (err error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	s := &issuer{spent: map[string]bool{}, alg: alg}
	if s.spends, err = openJournal(database); err != nil {
		return err
	}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return err
	}
	if s.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); alg == "RS256" {
		s.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	mux.HandleFunc("GET /oauth2/authorize", s.authorize)
	mux.HandleFunc("POST /oauth2/token", s.token)
	metadata, keys := []byte(`{"issuer":"x"`+strings.Repeat(`,"endpoint":"http://127.0.0.1:8080/oauth2/authorize"`, 40)+`}`), []byte(`{"keys":["`+strings.Repeat("k", 2000)+`"]}`)
	for path, body := range map[string][]byte{"/.well-known/openid-configuration": metadata, "/oauth2/keys": keys} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "public, max-age=300")
			_, _ = w.Write(body)
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String()
	fmt.Printf("{\"url\":%q}\n", s.url)
	return http.Serve(l, mux)
}

func (s *issuer) seal(i issued) string {
	b, _ := json.Marshal(i)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, nil))
}

// spend opens what was sealed for the use, and takes it only once.
func (s *issuer) spend(text, use string) (i issued, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return i, false
	}
	plain, err := s.aead.Open(nil, nil, b, nil)
	if err != nil || json.Unmarshal(plain, &i) != nil || i.Use != use || time.Now().Unix() > i.Until {
		return i, false
	}
	s.mu.Lock()
	spent := s.spent[i.ID]
	s.spent[i.ID] = true
	s.mu.Unlock()
	return i, !spent && s.spends.write(i.ID) == nil
}

func (s *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if c, err := r.Cookie("session"); err != nil || c.Value != "1" || q.Get("client_id") != "client" || q.Get("redirect_uri") != "https://rp.example/back" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	code := s.seal(issued{"code", q.Get("code_challenge"), q.Get("redirect_uri"), rand.Text(), time.Now().Unix() + 60})
	w.Header().Set("Location", q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

func (s *issuer) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil || r.PostForm.Get("client_id") != "client" || r.PostForm.Get("client_secret") != "secret" {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	var i issued
	var ok bool
	if r.PostForm.Get("grant_type") == "refresh_token" {
		i, ok = s.spend(r.PostForm.Get("refresh_token"), "refresh")
	} else {
		i, ok = s.spend(r.PostForm.Get("code"), "code")
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		ok = ok && i.Challenge == base64.RawURLEncoding.EncodeToString(sum[:]) && i.Redirect == r.PostForm.Get("redirect_uri")
	}
	if !ok {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	claims, _ := json.Marshal(map[string]any{"iss": s.url, "sub": "user", "aud": "client", "exp": now + 3600, "iat": now, "name": "Ann", "email": "ann@example.com", "groups": []string{"a", "b"}})
	head := `{"alg":"` + s.alg + `","kid":"1"}`
	signed := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := s.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 3600, "refresh_token": s.seal(issued{"refresh", "", "", rand.Text(), now + 3600}),
		"id_token": signed + "." + base64.RawURLEncoding.EncodeToString(signature)})
}
