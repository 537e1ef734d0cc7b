package ldap_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"odcm"
	"odcm/manager/identity/provider"
)

// broken is a server that answers each message with what the test says, and nothing else of LDAP. It speaks without TLS.
func broken(t *testing.T, answer func(id int64, request *ber.Packet, w io.Writer)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					p, err := ber.ReadPacket(c)
					if err != nil || len(p.Children) < 2 {
						return
					}
					id, _ := p.Children[0].Value.(int64)
					answer(id, p.Children[1], c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// The tags of RFC 4511.
const (
	bindRequest  = 0
	bindResponse = 1
	searchEntry  = 4
	searchDone   = 5
)

// result writes an answer that is a result and nothing more.
func result(w io.Writer, id int64, tag ber.Tag, code int64, text string) {
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, ""))
	message(w, id, r)
}

func message(w io.Writer, id int64, child *ber.Packet) {
	m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(child)
	_, _ = w.Write(m.Bytes())
}

func entry(w io.Writer, id int64, dn string, attributes map[string][]string) {
	e := ber.Encode(ber.ClassApplication, ber.TypeConstructed, searchEntry, nil, "")
	e.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for name, values := range attributes {
		a := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		a.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, ""))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
		}
		a.AppendChild(set)
		list.AppendChild(a)
	}
	e.AppendChild(list)
	message(w, id, e)
}

func anywhere(address string) provider.Provider {
	return provider.Provider{ID: "provider-x", Kind: provider.LDAP, Name: "Broken", Settings: map[string]string{"servers": address, "security": "none",
		"bindUser": "cn=reader,dc=x", "base": "dc=x"}, Secrets: map[string]string{"bindPassword": "secret"}}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	letIn := func(f func(id int64, w io.Writer)) func(int64, *ber.Packet, io.Writer) {
		return func(id int64, request *ber.Packet, w io.Writer) {
			if request.Tag == bindRequest {
				result(w, id, bindResponse, 0, "")
				return
			}
			f(id, w)
		}
	}
	for name, c := range map[string]struct {
		answer func(int64, *ber.Packet, io.Writer)
		kind   odcm.Kind
	}{
		"it returns nothing": {letIn(func(id int64, w io.Writer) { result(w, id, searchDone, 0, "") }), odcm.NotFound},
		"it is busy":         {letIn(func(id int64, w io.Writer) { result(w, id, searchDone, 51, "") }), odcm.Unavailable},
		"it sends elsewhere": {letIn(func(id int64, w io.Writer) { result(w, id, searchDone, 10, "") }), odcm.Unavailable},
		"it breaks off":      {letIn(func(_ int64, w io.Writer) { _ = w.(io.Closer).Close() }), odcm.Unavailable},
		"it talks something else": {func(_ int64, _ *ber.Packet, w io.Writer) {
			_, _ = w.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			_ = w.(io.Closer).Close()
		}, odcm.Unavailable},
		"it answers another":        {letIn(func(id int64, w io.Writer) { result(w, id+7, searchDone, 0, ""); _ = w.(io.Closer).Close() }), odcm.Unavailable},
		"it refuses the account":    {func(id int64, _ *ber.Packet, w io.Writer) { result(w, id, bindResponse, 49, "") }, odcm.Unavailable},
		"accounts without identity": {letIn(func(id int64, w io.Writer) { entry(w, id, "uid=bob,dc=x", nil); result(w, id, searchDone, 0, "") }), odcm.NotFound},
		"two accounts of one name":  {letIn(func(id int64, w io.Writer) { two(w, id) }), odcm.NotFound},
		"it tells without an end":   {letIn(func(_ int64, w io.Writer) { endless(w) }), odcm.Unavailable},
		"a packet of four gigabytes": {letIn(func(_ int64, w io.Writer) {
			_, _ = w.Write([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02})
			endless(w)
		}), odcm.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, anywhere(broken(t, c.answer)))
			_, err := verify(t, s, "bob", "password")
			if odcm.KindOf(err) != c.kind {
				t.Errorf("%v", err)
			}
			for _, f := range findings(t, s) {
				if f.Message == "" {
					t.Errorf("%s is not explained", f.Step)
				}
			}
		})
	}
}

func two(w io.Writer, id int64) {
	for _, dn := range []string{"uid=bob,ou=a,dc=x", "uid=bob,ou=b,dc=x"} {
		entry(w, id, dn, map[string][]string{"entryUUID": {dn}, "uid": {"bob"}})
	}
	result(w, id, searchDone, 0, "")
}

// endless writes a message that does not end, until nobody listens.
func endless(w io.Writer) {
	_, _ = w.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0x00, 0x02, 0x01, 0x02, 0x04, 0x84, 0x7f, 0xff, 0xf0, 0x00})
	chunk := make([]byte, 1<<20)
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// TestSilence has a server that takes everything and says nothing: it is waited for no longer than who asks waits.
func TestSilence(t *testing.T) {
	t.Parallel()
	address := broken(t, func(int64, *ber.Packet, io.Writer) {})
	s := open(t, anywhere(address))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.(provider.Passwords).Verify(ctx, "bob", "password")
	if odcm.KindOf(err) != odcm.Unavailable || time.Since(begun) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

// TestARefusedServiceAccountIsNotTriedOften keeps the service account from being locked by our own tries.
func TestARefusedServiceAccountIsNotTriedOften(t *testing.T) {
	t.Parallel()
	tries := make(chan struct{}, 100)
	address := broken(t, func(id int64, _ *ber.Packet, w io.Writer) {
		tries <- struct{}{}
		result(w, id, bindResponse, 49, "80090308: LdapErr: DSID-0C090334, comment: AcceptSecurityContext error, data 52e, v4563")
	})
	s := open(t, anywhere(address))
	for range 5 {
		_, err := verify(t, s, "bob", "password")
		want(t, err.Error(), "its name or password is wrong")
	}
	if len(tries) != 1 {
		t.Errorf("%d tries", len(tries))
	}
}
