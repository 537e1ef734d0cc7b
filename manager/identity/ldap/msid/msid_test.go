package msid_test

import (
	"testing"

	"odcm/manager/identity/ldap/msid"
)

func TestText(t *testing.T) {
	t.Parallel()
	guid := []byte{0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8}
	if got := msid.GUID(guid); got != "12345678-9abc-def0-0102-030405060708" {
		t.Errorf("GUID %q", got)
	}
	sid := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0} // BUILTIN\\Administrators
	if got := msid.SID(sid); got != "S-1-5-32-544" {
		t.Errorf("SID %q", got)
	}
	for _, b := range [][]byte{nil, guid[:15], append(guid, 0), sid[:len(sid)-1], sid[:4]} {
		if msid.GUID(b) != "" || msid.SID(b) != "" {
			t.Errorf("%x was read", b)
		}
	}
}

// FuzzIdentifiers goes from text to bytes and back.
func FuzzIdentifiers(f *testing.F) {
	f.Add("8d2c1b0a-9e8f-4a3b-8c7d-0123456789ab", "S-1-5-21-1-2-3-500")
	f.Add("8d2c1b0a-9e8f-4a3b-8c7d-0123456789A", "S-1-5-")
	f.Fuzz(func(t *testing.T, guid, sid string) {
		if raw, ok := msid.ParseGUID(guid); ok && msid.GUID(raw) != guid {
			t.Errorf("%q became %q", guid, msid.GUID(raw))
		}
		if raw, ok := msid.ParseSID(sid); ok {
			again, ok := msid.ParseSID(msid.SID(raw))
			if !ok || string(again) != string(raw) {
				t.Errorf("%q became %q", sid, msid.SID(raw))
			}
		}
		_ = msid.GUID([]byte(guid))
		_ = msid.SID([]byte(sid))
	})
}
