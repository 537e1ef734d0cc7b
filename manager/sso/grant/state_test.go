package grant

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"odcm"
	"odcm/manager/sso"
)

func drawState(t *rapid.T) grantState {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	number := func(name string) int64 { return rapid.Int64().Draw(t, name) }
	return grantState{Grant: text("grant"), Party: sso.PartyID(text("party")), User: odcm.UserID(text("user")), Session: text("session"), Scopes: text("scopes"),
		Auth: number("auth"), Method: text("method"), Issued: number("issued"), Until: number("until")}
}

// TestStates: what is sealed comes back as it was, and no part of it, nor more than it, is taken for the whole.
func TestStates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		code := codeState{drawState(t), rapid.String().Draw(t, "redirect"), rapid.String().Draw(t, "nonce"), rapid.String().Draw(t, "challenge"), rapid.Bool().Draw(t, "opened")}
		token := tokenState{code.grantState, rapid.Int64().Draw(t, "sequence")}
		b, err := code.AppendBinary([]byte("before"))
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatal(err)
		}
		b = b[len("before"):]
		var gotCode codeState
		if err := gotCode.UnmarshalBinary(b); err != nil || gotCode != code {
			t.Fatalf("%+v came back as %+v, %v", code, gotCode, err)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if new(codeState).UnmarshalBinary(b[:cut]) == nil || new(codeState).UnmarshalBinary(append(b, 0)) == nil {
			t.Fatalf("%d of %d bytes, or one more, are taken for the whole", cut, len(b))
		}
		b, err = token.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var gotToken tokenState
		if err := gotToken.UnmarshalBinary(b); err != nil || gotToken != token {
			t.Fatalf("%+v came back as %+v, %v", token, gotToken, err)
		}
	})
}

// FuzzStates: whatever the bytes, they are refused or read, and nothing worse.
func FuzzStates(f *testing.F) {
	whole, _ := (&codeState{grantState: grantState{Grant: "grant-1", Party: "party-1"}}).AppendBinary(nil)
	f.Add(whole)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c codeState
		if c.UnmarshalBinary(b) != nil {
			return
		}
		again, err := c.AppendBinary(nil)
		var same codeState
		if err != nil || same.UnmarshalBinary(again) != nil || same != c {
			t.Errorf("%x was read as %+v, written as %x", b, c, again)
		}
	})
}
