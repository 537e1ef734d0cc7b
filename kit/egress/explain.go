package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"

	"odcm"
)

// Explain turns what the network says into what people can act on. A context that was canceled stays as it is: nobody
// waits for the answer.
func Explain(u *url.URL, err error) error {
	var known *odcm.Error
	if errors.As(err, &known) {
		return known // the policy's or the pin's own words
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	unavailable := func(code, format string, args ...any) error {
		return odcm.E(odcm.Unavailable, code, format, args...).Because(err)
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return unavailable("egress.dns", "There is no host named %s. Check the spelling, or give its IP address.", u.Hostname())
	case errors.As(err, &dns) && !dns.IsTimeout:
		return unavailable("egress.dns", "The name %s cannot be looked up now. Check this machine's name servers.", u.Hostname())
	case isTLS(err):
		return unavailable("egress.tls", "%s", explainTLS(u, err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return unavailable("egress.refused", "Nothing listens at %s. Is the server running, and is the port right?", u.Host)
	case isTimeout(err):
		return unavailable("egress.timeout", "%s did not answer in time. Is the server overloaded, or a firewall between?", u.Host)
	}
	return unavailable("egress.failed", "The connection to %s failed. Try again; if it stays, look at the server's log.", u.Host)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "tls: ") // crypto/tls has no type for the rest
}

func explainTLS(u *url.URL, err error) string {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return u.Host + " does not speak TLS. Does its address begin with http:// instead of https://?"
	}
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 {
		return u.Host + " and ODCM do not agree on TLS. Does the server speak TLS 1.2 or newer on this port?"
	}
	cert := verification.UnverifiedCertificates[0]
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		return "The certificate of " + u.Host + " is not for that name but for " + names(cert) +
			". Give an address with that name, or pin the thumbprint " + Thumbprint(cert) + "."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "The certificate of " + u.Host + " is valid from " + cert.NotBefore.Format("2006-01-02") + " to " +
			cert.NotAfter.Format("2006-01-02") + " only. Renew it, or set this machine's clock."
	}
	return "The certificate of " + u.Host + " was issued by " + issuer(cert) +
		", which this machine does not trust. Give that authority's certificate as CA, or pin the thumbprint " + Thumbprint(cert) + " after comparing it on the server."
}

func names(cert *x509.Certificate) string {
	all := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name"
	}
	if len(all) > 5 {
		all = append(all[:5], "others")
	}
	return strings.Join(all, ", ")
}

func issuer(cert *x509.Certificate) string {
	if cert.Issuer.String() == cert.Subject.String() {
		return "itself (" + cert.Subject.String() + ")"
	}
	return cert.Issuer.String()
}
