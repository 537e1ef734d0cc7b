package sshclient

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// matches tells whether the key has the fingerprint, which Octopus keeps as SHA256:base64 (since 2018), with or without
// the prefix, or as the older MD5 in hexadecimal.
func matches(key ssh.PublicKey, fingerprint string) bool {
	wanted := strings.TrimSpace(fingerprint)
	sha := strings.TrimPrefix(ssh.FingerprintSHA256(key), "SHA256:")
	legacy := ssh.FingerprintLegacyMD5(key)
	if same(sha, strings.TrimRight(strings.TrimPrefix(wanted, "SHA256:"), "=")) {
		return true
	}
	wanted = strings.ToLower(wanted)
	return same(legacy, strings.TrimPrefix(wanted, "md5:")) || same(strings.ReplaceAll(legacy, ":", ""), wanted)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// families are the kinds of host keys, each with the algorithms that use it, best first. A host has one key of each; which
// one it shows depends on what the client asks for, and the fingerprint may be that of any.
var families = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// familiesFor puts the family that the endpoint names first (HostKeyAlgorithm: "ssh-ed25519").
func familiesFor(algorithm string) [][]string {
	ordered := slices.Clone(families)
	slices.SortStableFunc(ordered, func(a, b []string) int {
		in := func(family []string) int {
			if slices.Contains(family, algorithm) || algorithm == ssh.KeyAlgoRSA && slices.Contains(family, ssh.KeyAlgoRSASHA512) {
				return 0
			}
			return 1
		}
		return in(a) - in(b)
	})
	return ordered
}

// mismatch is the failure of a host that shows another key than the endpoint's.
type mismatch struct{ shown []string }

func (e *mismatch) Error() string {
	return fmt.Sprintf("the host shows another key than the one that this target was registered with: its fingerprint is %s", strings.Join(e.shown, ", or "))
}
