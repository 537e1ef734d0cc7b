package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var offset atomic.Int64
		w := newWorld(t, web.Options{DB: d, Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
		post := func(who, key, body string) *http.Response {
			return w.do(call{method: "POST", path: "/api/v1/things", body: body, anonymous: true,
				header: map[string]string{"Authorization": "Bearer " + who, "Idempotency-Key": key}})
		}
		expect := func(r *http.Response, status int, replayed bool, want string) {
			t.Helper()
			body := text(t, r)
			if r.StatusCode != status || (r.Header.Get("Idempotency-Replayed") == "true") != replayed || !strings.Contains(body, want) {
				t.Errorf("%d, replayed %q: %s", r.StatusCode, r.Header.Get("Idempotency-Replayed"), body)
			}
		}
		first := post("lisa", "k1", `{"name":"a"}`)
		expect(first, 201, false, "a by lisa")
		again := post("lisa", "k1", `{"name":"a"}`)
		if again.Header.Get("ETag") != first.Header.Get("ETag") || again.Header.Get("Content-Type") != first.Header.Get("Content-Type") ||
			again.Header.Get("X-Request-Id") == first.Header.Get("X-Request-Id") {
			t.Errorf("headers of the repeated answer: %v", again.Header)
		}
		expect(again, 201, true, "a by lisa")
		if w.changed != 1 {
			t.Errorf("did it %d times", w.changed)
		}
		expect(post("lisa", "k1", `{"name":"b"}`), 422, false, "request.idempotency-key-reused")
		expect(post("bob", "k1", `{"name":"a"}`), 201, false, "a by bob")
		expect(post("lisa", "k2", `{"name":"a"}`), 201, false, "a by lisa")

		expect(post("lisa", "k3", `{"name":"taken"}`), 409, false, "thing.taken")
		expect(post("lisa", "k3", `{"name":"mended"}`), 201, false, "mended by lisa") // what was refused did nothing
		expect(post("lisa", strings.Repeat("k", 256), `{"name":"a"}`), 400, false, "request.malformed")

		var kept, readable int
		rows := d.Read().QueryRowContext(t.Context(), `SELECT count(*), count(CASE WHEN answer LIKE '%lisa%' OR id LIKE '%k1%' OR claim <> '' THEN 1 END) FROM web_idempotency`)
		if err := rows.Scan(&kept, &readable); err != nil || kept != 4 || readable != 0 {
			t.Errorf("%d rows, %d readable, %v", kept, readable, err)
		}

		offset.Store(int64(25 * time.Hour)) // a day later the key is free
		expect(post("lisa", "k1", `{"name":"c"}`), 201, false, "c by lisa")
		if err := d.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM web_idempotency`).Scan(&kept); err != nil || kept != 1 {
			t.Errorf("%d rows are left, %v", kept, err)
		}
	})
}

func TestIdempotencyUnderContention(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, web.Options{DB: d})
		began, finish := make(chan struct{}), make(chan struct{})
		var ran atomic.Int64
		w.onCreate = func() {
			if ran.Add(1) == 1 {
				close(began)
				<-finish
			}
		}
		send := func() *http.Response {
			return w.do(call{method: "POST", path: "/api/v1/things", body: `{"name":"a"}`, header: map[string]string{"Idempotency-Key": "k"}})
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if r := send(); r.StatusCode != 201 {
				t.Errorf("first: %d", r.StatusCode)
			}
		})
		<-began
		var others sync.WaitGroup
		for range 5 {
			others.Go(func() {
				if r := send(); r.StatusCode != 409 {
					t.Errorf("while the first works: %d", r.StatusCode)
				}
			})
		}
		others.Wait()
		close(finish)
		wg.Wait()
		if r := send(); r.StatusCode != 201 || r.Header.Get("Idempotency-Replayed") != "true" || ran.Load() != 1 {
			t.Errorf("afterwards: %d, ran %d times", r.StatusCode, ran.Load())
		}
	})
}

// TestIdempotencyAfterACrash leaves a claim behind, as a replica does that is killed at work.
func TestIdempotencyAfterACrash(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	var offset atomic.Int64
	w := newWorld(t, web.Options{DB: d, Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	w.onCreate = func() {
		if offset.Load() == 0 {
			panic(http.ErrAbortHandler)
		}
	}
	send := func() (r *http.Response, aborted any) {
		defer func() { aborted = recover() }()
		return w.do(call{method: "POST", path: "/api/v1/things", body: `{"name":"a"}`, header: map[string]string{"Idempotency-Key": "k"}}), nil
	}
	if _, aborted := send(); fmt.Sprint(aborted) != fmt.Sprint(http.ErrAbortHandler) {
		t.Fatalf("aborted with %v", aborted)
	}
	offset.Store(int64(time.Second))
	if r, _ := send(); r.StatusCode != 201 {
		t.Errorf("a claim outlived its request: %d", r.StatusCode)
	}
}
