// Package msid writes the identifiers of Active Directory, which are bytes there, as text, and reads them again.
package msid

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// GUID writes the 16 bytes of a globally unique identifier, of which the first three groups are little-endian ([MS-DTYP] section 2.3.4.2).
func GUID(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

// ParseGUID undoes [GUID]; false where the text is none, or not as GUID writes it.
func ParseGUID(text string) ([]byte, bool) {
	var a uint32
	var b, c uint16
	var d, e []byte
	if n, err := fmt.Sscanf(text, "%08x-%04x-%04x-%4x-%12x", &a, &b, &c, &d, &e); err != nil || n != 5 || len(text) != 36 {
		return nil, false
	}
	raw := binary.LittleEndian.AppendUint32(nil, a)
	raw = binary.LittleEndian.AppendUint16(raw, b)
	raw = binary.LittleEndian.AppendUint16(raw, c)
	raw = append(append(raw, d...), e...)
	return raw, GUID(raw) == text
}

// SID writes a security identifier ([MS-DTYP] section 2.4.2.1), "" where the bytes are none.
func SID(b []byte) string {
	if len(b) < 8 || len(b) != 8+4*int(b[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...))
	text := fmt.Sprintf("S-%d-%d", b[0], authority)
	for at := 8; at < len(b); at += 4 {
		text += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[at:])), 10)
	}
	return text
}

// ParseSID undoes [SID].
func ParseSID(text string) ([]byte, bool) {
	parts := strings.Split(text, "-")
	if len(parts) < 3 || len(parts) > 18 || parts[0] != "S" {
		return nil, false
	}
	revision, err1 := strconv.ParseUint(parts[1], 10, 8)
	authority, err2 := strconv.ParseUint(parts[2], 10, 48)
	if err1 != nil || err2 != nil {
		return nil, false
	}
	b := binary.BigEndian.AppendUint64(nil, authority)
	b[0], b[1] = byte(revision), byte(len(parts)-3)
	for _, p := range parts[3:] {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, false
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b, true
}
