package password

import "testing"

func TestUnknownUserCostsTheSame(t *testing.T) {
	t.Parallel()
	real, none := makeHash("password", currentCost()), noHash(currentCost())
	if real.Cost != none.Cost || len(real.salt) != len(none.salt) || len(real.key) != len(none.key) {
		t.Errorf("real %v, none %v", real.Cost, none.Cost)
	}
	if !real.matches("password") || real.matches("Password") || none.matches("") {
		t.Error("hashes match wrongly")
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(hash{Cost: currentCost(), salt: make([]byte, 16), key: make([]byte, 32)}.String())
	f.Add("$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHQ$a2V5")
	f.Add("$argon2id$v=19$m=64,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.Memory > 1<<20 || h.Time > 16 || h.Threads == 0 {
			t.Fatalf("accepted %+v", h.Cost)
		}
		if again, err := parseHash(h.String()); err != nil || again.String() != h.String() {
			t.Fatalf("%q becomes %q: %v", s, h, err)
		}
	})
}
