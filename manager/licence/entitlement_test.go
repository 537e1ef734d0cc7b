package licence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/licence"
)

func TestAnEntitlementIsInstalledAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := sign(t, w.key, licence.PayloadType, claim())
	e, err := w.Install(t.Context(), barry, file)
	if err != nil {
		t.Fatal(err)
	}
	if e.Holder != "Example Ltd" || e.Standing != licence.Valid || e.DaysLeft == nil || *e.DaysLeft != 365 || e.Soon() || e.By != "Barry" || len(e.Extras) != 1 ||
		e.KeyID != licence.KeyID(public(w.key)) {
		t.Errorf("installed %+v", e)
	}
	if _, err := w.Install(t.Context(), barry, file); err != nil || len(w.events) != 1 {
		t.Errorf("the same again: %v, %d events", err, len(w.events))
	}
	next := claim()
	next.ID, next.Expires = "E-1002", time.Time{}
	if e, err = w.Install(t.Context(), barry, sign(t, w.key, licence.PayloadType, next)); err != nil || e.ID != "E-1002" || e.DaysLeft != nil || e.Standing != licence.Valid {
		t.Errorf("the next: %+v, %v", e, err)
	}
	if err := w.Remove(t.Context(), barry); err != nil {
		t.Error(err)
	}
	if err := w.Remove(t.Context(), barry); odcm.CodeOf(err) != "licence.none" {
		t.Errorf("removed again: %v", err)
	}
	var said []string
	for _, e := range w.events {
		said = append(said, e.Type+" "+e.Subject+" "+e.Name+" "+string(e.Before)+" -> "+string(e.After))
	}
	for i, want := range []string{`licence.installed E-1001 Example Ltd  -> {"id":"E-1001","holder":"Example Ltd","expires":"2027-11-24T12:00:00Z","extras":["Support"]`,
		`licence.installed E-1002 Example Ltd {"id":"E-1001"`, `licence.removed E-1002 Example Ltd {"id":"E-1002"`} {
		if i >= len(said) || !strings.HasPrefix(said[i], want) {
			t.Errorf("events %q, want %s", said, want)
		}
	}
}

func TestWhatIsWrongWithAFileIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := sign(t, w.key, licence.PayloadType, claim())
	if _, err := w.Install(t.Context(), barry, kept); err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	but := func(change func(*licence.Claim)) []byte {
		c := claim()
		change(&c)
		return sign(t, w.key, licence.PayloadType, c)
	}
	payload, err := json.Marshal(claim())
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Replace(kept, []byte(base64.StdEncoding.EncodeToString(payload)),
		[]byte(base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte("2027"), []byte("2077"), 1))), 1)
	foreign := sign(t, other, licence.PayloadType, claim())
	pretends := bytes.Replace(foreign, []byte(licence.KeyID(public(other))), []byte(licence.KeyID(public(w.key))), 1)
	for name, c := range map[string]struct {
		file []byte
		code string
		says string
	}{
		"nothing":                     {nil, "licence.file-empty", "empty"},
		"too much":                    {bytes.Repeat([]byte(" "), licence.MaxFile+1), "licence.file-large", "at most 64"},
		"no JSON":                     {[]byte("-----BEGIN LICENCE-----"), "licence.file-malformed", "no entitlement"},
		"other JSON":                  {[]byte(`{"a":1}`), "licence.file-malformed", "no entitlement"},
		"more behind it":              {append(bytes.Clone(kept), '{'), "licence.file-malformed", "no entitlement"},
		"another type":                {sign(t, w.key, "application/vnd.in-toto+json", claim()), "licence.file-other", "in-toto"},
		"no signature":                {envelope(t, licence.PayloadType, payload), "licence.unsigned", "not signed"},
		"changed":                     {tampered, "licence.signature-wrong", "changed after it was signed"},
		"cut":                         {kept[:len(kept)-5], "licence.file-malformed", "damaged"},
		"somebody else's":             {foreign, "licence.key-unknown", licence.KeyID(public(other))},
		"somebody else's in disguise": {pretends, "licence.signature-wrong", "changed"},
		"signed nonsense":             {sign(t, w.key, licence.PayloadType, "hello"), "licence.content-malformed", "cannot be read"},
		"another product":             {but(func(c *licence.Claim) { c.Product = "other" }), "licence.product-other", `"other"`},
		"nobody's":                    {but(func(c *licence.Claim) { c.Holder = " " }), "licence.content-wrong", "empty"},
		"an extra without a name":     {but(func(c *licence.Claim) { c.Extras[0].Name = "" }), "licence.content-wrong", "empty"},
		"control characters":          {but(func(c *licence.Claim) { c.Holder = "a\x1b[2J" }), "licence.content-wrong", "control"},
		"long":                        {but(func(c *licence.Claim) { c.Extras[0].Detail = strings.Repeat("x", 201) }), "licence.content-wrong", "200"},
		"many":                        {but(func(c *licence.Claim) { c.Extras = slicesOf(51) }), "licence.content-wrong", "too many"},
		"ends first":                  {but(func(c *licence.Claim) { c.Expires = c.NotBefore }), "licence.content-wrong", "ends before"},
		"of old":                      {but(func(c *licence.Claim) { c.NotBefore = time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC) }), "licence.content-wrong", "not of our days"},
		"not yet":                     {but(func(c *licence.Claim) { c.NotBefore = now.Add(time.Hour) }), "licence.early", "24 November 2026"},
		"over":                        {but(func(c *licence.Claim) { c.Expires = now }), "licence.expired", "expired on 24 November 2026"},
	} {
		_, err := w.Install(t.Context(), barry, c.file)
		var e *odcm.Error
		if !errors.As(err, &e) || e.Kind != odcm.Invalid || e.Code != c.code || !strings.Contains(e.Message, c.says) || len(e.Fields) != 1 || e.Fields[0].Field != "file" {
			t.Errorf("%s: %v, want %s that says %q", name, err, c.code, c.says)
		}
	}
	if len(w.events) != 1 || w.kept.File != string(kept) {
		t.Error("what was refused changed something")
	}
}

func slicesOf(n int) (extras []licence.Extra) {
	for range n {
		extras = append(extras, licence.Extra{Name: "Support"})
	}
	return extras
}

func TestTimeGoesOnAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, licence.Server{Instance: "instance-1", Spaces: []licence.Space{{ID: "space-1", Name: "Web"}}})
	c := claim()
	if _, err := w.Install(t.Context(), barry, sign(t, w.key, licence.PayloadType, c)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		at       time.Time
		standing licence.Standing
		soon     bool
	}{
		"before":     {c.NotBefore.Add(-time.Second), licence.Early, false},
		"first":      {c.NotBefore, licence.Valid, false},
		"31 days":    {c.Expires.AddDate(0, 0, -31), licence.Valid, false},
		"30 days":    {c.Expires.AddDate(0, 0, -30), licence.Valid, true},
		"last":       {c.Expires.Add(-time.Second), licence.Valid, true},
		"end":        {c.Expires, licence.Ended, false},
		"long after": {c.Expires.AddDate(50, 0, 0), licence.Ended, false},
	} {
		w.now = want.at
		o, err := w.Overview(t.Context(), barry)
		if err != nil || o.Spaces != 1 {
			t.Fatalf("%s: %+v, %v", name, o, err)
		}
		if e := o.Entitlement; e.Standing != want.standing || e.Soon() != want.soon || (e.Problem == "") != (e.Standing == licence.Valid) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	w.kept.File = strings.Replace(w.kept.File, "signatures", "sognatures", 1)
	if o, err := w.Overview(t.Context(), barry); err != nil || o.Entitlement.Standing != licence.Unproven || o.Entitlement.Holder != "" || o.Spaces != 1 {
		t.Errorf("changed in the database: %+v, %v", o.Entitlement, err)
	}
	if err := w.Remove(t.Context(), barry); err != nil || w.events[1].Type != "licence.removed" {
		t.Errorf("what cannot be proven can be removed: %v", err)
	}
}

func TestThePublishedKeysAreKeys(t *testing.T) {
	t.Parallel()
	keys := licence.Published()
	if len(keys) == 0 {
		t.Fatal("no key is published")
	}
	for _, k := range keys {
		if !strings.HasPrefix(licence.KeyID(k), "SHA256:") {
			t.Errorf("key %q", licence.KeyID(k))
		}
	}
	if _, _, err := licence.Prove(t.Context(), sign(t, newWorld(t).key, licence.PayloadType, claim()), keys); odcm.CodeOf(err) != "licence.key-unknown" {
		t.Errorf("a file of a key that is not published: %v", err)
	}
}

func FuzzProve(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	keys := []ed25519.PublicKey{public(key)}
	good := sign(f, key, licence.PayloadType, claim())
	for _, seed := range [][]byte{nil, good, good[:40], []byte(`{"payloadType":"` + licence.PayloadType + `","payload":"e30=","signatures":[{"keyid":"","sig":""},{"sig":"!"}]}`),
		[]byte(`{"signatures":null}`), []byte(`[]`), []byte("\xff{")} {
		f.Add(seed)
	}
	want, _, err := licence.Prove(f.Context(), good, keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, id, err := licence.Prove(t.Context(), file, keys)
		switch {
		case err == nil: // only what was signed is ever proven, however it is written
			if got.ID != want.ID || got.Holder != want.Holder || !got.Expires.Equal(want.Expires) || id != licence.KeyID(keys[0]) {
				t.Errorf("proven: %+v", got)
			}
		case odcm.KindOf(err) != odcm.Invalid || got.ID != "" || id != "":
			t.Errorf("%v, %+v", err, got)
		}
	})
}
