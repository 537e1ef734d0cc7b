package mail

import (
	"errors"
	netmail "net/mail"
	"strings"
)

// maxAddress is the longest address that SMTP carries: a path of 256 octets with its brackets (RFC 5321 section 4.5.3.1.3).
const maxAddress = 254

// ParseAddress takes one bare address, bob@example.com, and nothing around it: no name, no comment, no list, no line break.
func ParseAddress(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddress || strings.ContainsAny(text, "\x00\r\n\t\"()<>,;: ") {
		return "", errNoAddress
	}
	a, err := netmail.ParseAddress(text)
	if err != nil || a.Address != text || a.Name != "" {
		return "", errNoAddress
	}
	local, domain, _ := strings.Cut(text, "@")
	if len(local) > 64 || !strings.Contains(domain, ".") || strings.HasPrefix(domain, "[") {
		return "", errNoAddress
	}
	return text, nil
}

var errNoAddress = errors.New("not an e-mail address")
