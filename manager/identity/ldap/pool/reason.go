package pool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/go-ldap/ldap/v3"

	"odcm"
)

// Reason says in a sentence what is wrong and what to do.
func (t Target) Reason(err error) string {
	server := t.Name
	var at *Failure
	if errors.As(err, &at) {
		server = at.Server
	}
	var known *odcm.Error
	var dns *net.DNSError
	var answer *ldap.Error
	var timeout net.Error
	switch {
	case errors.As(err, &known):
		return known.Message
	case errors.Is(err, ErrBind):
		return "The directory does not let the service account in: " + bindReason(err) + "."
	case errors.As(err, &dns) && dns.IsNotFound:
		return "There is no host named " + dns.Name + ": check the spelling, or give its address."
	case errors.As(err, &dns):
		return "The name " + dns.Name + " cannot be looked up now: check this machine's name servers."
	case t.isTLS(err):
		return tlsReason(server, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens at " + server + ": is the server running, and is the port right?"
	case errors.Is(err, ErrTooMuch):
		return "The directory's answer is too long: choose a narrower search base or filter."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(), ldap.IsErrorWithCode(err, ldap.LDAPResultTimeLimitExceeded):
		return server + " did not answer in time: is it overloaded, or a firewall between?"
	case errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork:
		return resultReason(answer)
	}
	return "The connection to " + server + " broke off: try again, and look at the server's log if it stays so."
}

func resultReason(e *ldap.Error) string {
	switch e.ResultCode {
	case ldap.LDAPResultNoSuchObject:
		return "There is nothing at the search base: check its spelling."
	case ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultInappropriateAuthentication:
		return "The service account may not read that: give it the right to read people and groups."
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return "The server wants encryption: choose ldaps or starttls."
	case ldap.LDAPResultReferral:
		return "The server sends elsewhere for the search base: give a server that holds it."
	case ldap.LDAPResultOperationsError:
		return "The server refused the question: was the service account let in?"
	case ldap.LDAPResultProtocolError, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultUnwillingToPerform:
		return "The server does not do that (" + ldap.LDAPResultCodeMap[e.ResultCode] + ")."
	}
	return "The server answered: " + ldap.LDAPResultCodeMap[e.ResultCode] + "."
}

func (t Target) isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return t.Security != Plain && (errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "TLS handshake failed"))
}

func tlsReason(server string, err error) string {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return server + " does not speak TLS on this port: choose starttls, or the port for ldaps, which is 636."
	}
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 {
		return server + " and ODCM do not agree on TLS: does the server have a certificate, and speak TLS 1.2 or newer?"
	}
	cert := verification.UnverifiedCertificates[0]
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		names := append([]string{}, cert.DNSNames...)
		for _, ip := range cert.IPAddresses {
			names = append(names, ip.String())
		}
		if len(names) == 0 {
			names = []string{"no name"}
		}
		return "The certificate of " + server + " is for " + strings.Join(names[:min(len(names), 5)], ", ") + ": use that name, or set the name in the certificate."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "The certificate of " + server + " is valid from " + cert.NotBefore.Format("2006-01-02") + " to " + cert.NotAfter.Format("2006-01-02") +
			" only: renew it, or set this machine's clock."
	}
	return "The certificate of " + server + " was issued by " + cert.Issuer.String() + ", which is not trusted here: give that authority's certificate."
}

// Refusal is why a bind was refused. Active Directory tells by a number in the text of result 49, for an account whose
// password was right; 775 comes in any case ([MS-ERREF] section 2.2 names the numbers).
type Refusal struct{ Code, Message string }

var refusals = map[string]Refusal{
	"530": {"ldap.hours", "This account may not sign in at this hour"},
	"531": {"ldap.workstation", "This account may not sign in from this machine"},
	"532": {"ldap.password-expired", "The password has expired: change it where you sign in to Windows, then try again"},
	"533": {"ldap.account-disabled", "This account is disabled: ask the administrator of your directory"},
	"701": {"ldap.account-expired", "This account has expired: ask the administrator of your directory"},
	"773": {"ldap.password-must-change", "The password must be changed first: change it where you sign in to Windows, then try again"},
	"775": {"ldap.account-locked", "This account is locked after too many wrong passwords: wait, or ask the administrator of your directory"},
}

// AccountDisabled is what a disabled account is told.
func AccountDisabled() Refusal { return refusals["533"] }

// RefusalOf tells whether a bind was refused for a reason beyond a wrong password.
func RefusalOf(err error) (Refusal, bool) {
	r, ok := refusals[subcode(err)]
	return r, ok
}

// subcode finds the number in "... AcceptSecurityContext error, data 52e, v1db1".
func subcode(err error) string {
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.Err == nil || answer.ResultCode != ldap.LDAPResultInvalidCredentials {
		return ""
	}
	_, rest, ok := strings.Cut(answer.Err.Error(), ", data ")
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(rest, ",")
	return strings.ToLower(strings.TrimSpace(code))
}

// bindReason says why a bind was refused, for administrators.
func bindReason(err error) string {
	if r, ok := refusals[subcode(err)]; ok {
		return strings.ToLower(r.Message[:1]) + r.Message[1:]
	}
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
		return "its name or password is wrong"
	case ldap.IsErrorWithCode(err, ldap.LDAPResultStrongAuthRequired), ldap.IsErrorWithCode(err, ldap.LDAPResultConfidentialityRequired):
		return "the server wants encryption, choose ldaps or starttls"
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidDNSyntax):
		return "its name must be a distinguished name, such as cn=reader,dc=example,dc=com"
	}
	var answer *ldap.Error
	if errors.As(err, &answer) {
		return ldap.LDAPResultCodeMap[answer.ResultCode]
	}
	return "it broke off"
}
