package infrastructure

import (
	"context"
	"crypto/sha1" //nolint:gosec // a thumbprint is a SHA-1
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// read carries what a certificate says from before the transaction into it, under a name that no client's JSON can have.
const read = "\x00certificate"

// certificateFacts are the members that the server reads from the certificate.
var certificateFacts = []string{"CertificateDataFormat", "Archived", "ReplacedBy", "HasPrivateKey", "IsExpired", "SelfSigned", "SubjectDistinguishedName", "SubjectCommonName", "SubjectOrganization",
	"IssuerDistinguishedName", "IssuerCommonName", "IssuerOrganization", "NotBefore", "NotAfter", "Thumbprint", "SerialNumber", "SignatureAlgorithmName", "SubjectAlternativeNames", "CertificateChain", "Version"}

// Certificates are kept with what is read from them; their private keys are secrets.
func Certificates() []*collection.Kind {
	return []*collection.Kind{{
		Name: "Certificates", Type: "Certificate", Route: "certificates", Environments: "EnvironmentIds", Everywhere: true, Tenants: "TenantIds",
		Template: `{"Name":"","Notes":null,"CertificateData":{"HasValue":false,"NewValue":null,"Hint":null},"Password":{"HasValue":false,"NewValue":null,"Hint":null},` + scoped + `,
			"CertificateDataFormat":"Unknown|Der|Pem|Pkcs12","Archived":null,"ReplacedBy":null,"HasPrivateKey":false,"IsExpired":false,"SelfSigned":false,
			"SubjectDistinguishedName":null,"SubjectCommonName":null,"SubjectOrganization":null,"IssuerDistinguishedName":null,"IssuerCommonName":null,"IssuerOrganization":null,
			"NotBefore":null,"NotAfter":null,"Thumbprint":null,"SerialNumber":null,"SignatureAlgorithmName":null,"SubjectAlternativeNames":[""],"CertificateChain":[],"Version":0}`,
		Required:   []string{"Name"},
		Ours:       certificateFacts,
		Permission: collection.Quartet("Certificate"),
		References: []collection.Reference{{Path: "EnvironmentIds[]", Kind: "Environments"}, {Path: "TenantIds[]", Kind: "Tenants"}},
		Filters:    map[string]string{"tenant": "TenantIds"}, Query: "skip,take,search,archived,tenant,firstResult,orderBy,ids,partialName",
		Links: map[string]string{"Export": "certificates/{Id}/export{?format,password,pemOptions,includePrivateKey}", "Replace": "certificates/{Id}/replace",
			"Archive": "certificates/{Id}/archive", "Unarchive": "certificates/{Id}/unarchive", "Usages": "certificates/{Id}/usages"},
		Before: readCertificate, Prepare: prepareCertificate, Present: presentCertificate,
		Actions: []collection.Action{
			{Method: "POST", Path: "certificates/{id}/archive", Handle: archive(true)},
			{Method: "POST", Path: "certificates/{id}/unarchive", Handle: archive(false)},
			{Method: "POST", Path: "certificates/{id}/replace", Permission: "CertificateEdit", Writes: true, Handle: replaceCertificate},
			{Method: "GET", Path: "certificates/{id}/export", Permission: "CertificateView", Handle: exportCertificate},
			{Method: "GET", Path: "certificates/{id}/usages", Handle: certificateUsages},
		},
	}}
}

// bundle is a certificate with what came along.
type bundle struct {
	format string
	leaf   *x509.Certificate
	chain  []*x509.Certificate
	key    any
	pem    []byte // of the key, where it came as PEM
}

// parseCertificate reads base64 of PEM, PKCS#12 or DER, as OC/Model/CertificateResource.cs takes it.
func parseCertificate(data, password string) (b bundle, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	if err != nil {
		return b, problem.Invalid("The certificate must be sent as base64.").Because(err)
	}
	var all []*x509.Certificate
	switch first, _ := pem.Decode(raw); {
	case first != nil:
		b.format = "Pem"
		all, err = b.readPEM(raw)
	default:
		if all, err = x509.ParseCertificates(raw); err == nil {
			b.format = "Der"
			break
		}
		b.format = "Pkcs12"
		all, err = b.readPKCS12(raw, password)
	}
	if err != nil || len(all) == 0 {
		return b, problem.Invalid("The certificate could not be read: it is none of PEM, PKCS#12 and DER, or its password is wrong.").Because(err)
	}
	b.leaf, b.chain = all[0], all[1:]
	return b, nil
}

func (b *bundle) readPEM(raw []byte) (all []*x509.Certificate, err error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			b.pem = pem.EncodeToMemory(block)
			for _, parse := range []func([]byte) (any, error){x509.ParsePKCS8PrivateKey,
				func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) }, func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) }} {
				if key, err := parse(block.Bytes); err == nil {
					b.key = key
					break
				}
			}
		}
	}
	return all, nil
}

func (b *bundle) readPKCS12(raw []byte, password string) ([]*x509.Certificate, error) {
	key, leaf, chain, err := pkcs12.DecodeChain(raw, password)
	if err == nil {
		b.key = key
		return append([]*x509.Certificate{leaf}, chain...), nil
	}
	all, trusted := pkcs12.DecodeTrustStore(raw, password) // certificates without a key
	if trusted != nil {
		return nil, err
	}
	return all, nil
}

// readCertificate reads a certificate that is sent, ahead of the transaction: the keys of PKCS#12 are slow on purpose.
func readCertificate(_ context.Context, _ collection.Request, sent *octopus.Object) error {
	sent.Delete(read)
	data := sent.Object("CertificateData").Text("NewValue")
	if data == "" {
		return nil
	}
	b, err := parseCertificate(data, sent.Object("Password").Text("NewValue"))
	if err != nil {
		return err
	}
	sent.Set(read, b.facts())
	return nil
}

func (b bundle) facts() octopus.Object {
	o := describe(b.leaf)
	o.Set("CertificateDataFormat", b.format)
	o.Set("HasPrivateKey", b.key != nil || b.pem != nil)
	o.Set("SelfSigned", b.leaf.CheckSignatureFrom(b.leaf) == nil || b.leaf.Subject.String() == b.leaf.Issuer.String())
	o.Set("SubjectCommonName", b.leaf.Subject.CommonName)
	o.Set("SubjectOrganization", strings.Join(b.leaf.Subject.Organization, ", "))
	o.Set("IssuerCommonName", b.leaf.Issuer.CommonName)
	o.Set("IssuerOrganization", strings.Join(b.leaf.Issuer.Organization, ", "))
	names := slices.Concat(b.leaf.DNSNames, b.leaf.EmailAddresses)
	for _, ip := range b.leaf.IPAddresses {
		names = append(names, ip.String())
	}
	o.Set("SubjectAlternativeNames", part.Some(names))
	chain := []octopus.Object{}
	for _, c := range b.chain {
		chain = append(chain, describe(c))
	}
	o.Set("CertificateChain", chain)
	return o
}

// describe is what there is to say of each certificate of a chain: X509Certificate in the Swagger document.
func describe(c *x509.Certificate) octopus.Object {
	sum := sha1.Sum(c.Raw) //nolint:gosec // see above
	var o octopus.Object
	o.Set("SubjectDistinguishedName", c.Subject.String())
	o.Set("IssuerDistinguishedName", c.Issuer.String())
	o.Set("NotBefore", c.NotBefore.UTC())
	o.Set("NotAfter", c.NotAfter.UTC())
	o.Set("Thumbprint", strings.ToUpper(hex.EncodeToString(sum[:])))
	o.Set("SerialNumber", strings.ToUpper(hex.EncodeToString(c.SerialNumber.Bytes())))
	o.Set("SignatureAlgorithmName", c.SignatureAlgorithm.String())
	o.Set("Version", c.Version)
	return o
}

func prepareCertificate(c *collection.Change) error {
	facts := c.New.Object(read)
	c.New.Delete(read)
	if facts.Len() == 0 {
		if c.Creating && c.New.Text("Thumbprint") == "" { // a copy has been read before
			return problem.Invalid("Please provide a value for CertificateData.")
		}
		return nil
	}
	for name, value := range facts.All() {
		c.New.Set(name, value)
	}
	return nil
}

// presentCertificate tells whether it has expired by now.
func presentCertificate(v *collection.View, o *octopus.Object) error {
	until := octopus.As[time.Time](*o, "NotAfter")
	o.Set("IsExpired", !until.IsZero() && until.Before(v.Service.Now()))
	return nil
}

// archive hides a certificate from those who choose one, or shows it again. Both answer nothing.
func archive(on bool) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find("Certificates", c.Param("id"))
		if err != nil {
			return nil, err
		}
		return nil, editCertificate(c, d, func(change *collection.Change) error {
			return change.Edit("Certificates", d.ID, func(o *octopus.Object) error {
				o.Set("Archived", nil)
				if on {
					o.Set("Archived", change.Service.Now())
				}
				return nil
			})
		})
	}
}

func editCertificate(c *collection.Call, d collection.Document, f func(change *collection.Change) error) error {
	return c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		if !c.Principal.Set.Changes("CertificateEdit", part.Target(d)) {
			return problem.Denied("CertificateEdit")
		}
		return f(change.In(d.Space))
	})
}

// replaceCertificate puts another certificate in the place of one, so that what uses it uses the new; the old one is kept
// as an archived copy, and answered (CertificateRepository.cs).
func replaceCertificate(c *collection.Call) (any, error) {
	d, err := c.Find("Certificates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	var sent struct{ CertificateData, Password string }
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	b, err := parseCertificate(sent.CertificateData, sent.Password)
	if err != nil {
		return nil, err
	}
	if err := c.Service.Ready(); err != nil {
		return nil, err
	}
	var kept octopus.Object
	err = editCertificate(c, d, func(change *collection.Change) (err error) {
		now := c.Service.Now()
		kept, err = change.Copy("Certificates", d.ID, "", func(o *octopus.Object) {
			o.Set("Name", o.Text("Name")+" (replaced "+now.Format("2006-01-02 15:04:05.000")+")")
			o.Set("Archived", now)
			o.Set("ReplacedBy", d.ID)
		})
		if err != nil {
			return err
		}
		return change.Edit("Certificates", d.ID, func(o *octopus.Object) error {
			for name, value := range b.facts().All() {
				o.Set(name, value)
			}
			o.Set("CertificateData", octopus.Secret(sent.CertificateData))
			o.Set("Password", map[string]any{"HasValue": sent.Password != "", "NewValue": sent.Password})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c.Find("Certificates", kept.Text("Id"))
}

// exportCertificate answers the certificate as a file; its private key only to those who may have it.
func exportCertificate(c *collection.Call) (any, error) {
	d, err := c.Find("Certificates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	private := strings.EqualFold(c.Query.Get("includePrivateKey"), "true")
	if private && !c.Principal.Set.Changes("CertificateExportPrivateKey", part.Target(d)) {
		return nil, problem.Denied("CertificateExportPrivateKey")
	}
	if err := c.Service.Ready(); err != nil {
		return nil, err
	}
	var secret map[string]string
	err = c.Transact(func(change *collection.Change) (err error) {
		secret, err = change.Secrets("Certificates", d.ID, d.Space)
		return err
	})
	if err != nil {
		return nil, err
	}
	b, err := parseCertificate(secret["/CertificateData"], secret["/Password"])
	if err != nil {
		return nil, err
	}
	if private && b.key == nil {
		return nil, problem.Invalid("The certificate has no private key, or one that is encrypted.")
	}
	return b.export(d.Object().Text("Name"), c.Query.Get("format"), c.Query.Get("password"), private)
}

func (b bundle) export(name, format, password string, private bool) (any, error) {
	content := func(extension string, text []byte) collection.Content {
		return collection.Content{Type: "application/octet-stream", Name: collection.Slug(name) + extension, Body: strings.NewReader(string(text))}
	}
	if format == "" {
		format = b.format
	}
	switch strings.ToLower(format) {
	case "der":
		return content(".cer", b.leaf.Raw), nil
	case "pem":
		var text []byte
		for _, c := range append([]*x509.Certificate{b.leaf}, b.chain...) {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		if private {
			der, err := x509.MarshalPKCS8PrivateKey(b.key)
			if err != nil {
				return nil, problem.Invalid("The private key cannot be written as PEM.").Because(err)
			}
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
		}
		return content(".pem", text), nil
	case "pkcs12":
		if !private {
			text, err := pkcs12.Modern.EncodeTrustStore(append([]*x509.Certificate{b.leaf}, b.chain...), password)
			return content(".pfx", text), err
		}
		text, err := pkcs12.Modern.Encode(b.key, b.leaf, b.chain, password)
		return content(".pfx", text), err
	}
	return nil, problem.Invalid("The format must be one of Der, Pem and Pkcs12.")
}

// certificateUsages finds who names the certificate: variables of projects and library sets, tenants, and targets.
func certificateUsages(c *collection.Call) (any, error) {
	d, err := c.Find("Certificates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	used := map[string][]collection.Document{"ProjectUsages": {}, "LibraryVariableSetUsages": {}, "TenantUsages": {}, "DeploymentTargetUsages": {}}
	store := c.Service.Store
	for _, in := range []struct{ kind, owner string }{{"VariableSets", "OwnerId"}, {"TenantVariables", "TenantId"}, {"Machines", "Id"}} {
		rows, _, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: in.kind, Spaces: []string{d.Space}, Contains: `"` + d.ID + `"`})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			o, err := octopus.ParseObject(row.Body)
			if err != nil {
				return nil, err
			}
			id := o.Text(in.owner)
			for prefix, to := range map[string]struct{ kind, member string }{"Projects-": {"Projects", "ProjectUsages"}, "LibraryVariableSets-": {"LibraryVariableSets", "LibraryVariableSetUsages"},
				"Tenants-": {"Tenants", "TenantUsages"}, "Machines-": {"Machines", "DeploymentTargetUsages"}} {
				if !strings.HasPrefix(id, prefix) || strings.Contains(row.ID, "-s-") { // a snapshot is history
					continue
				}
				if user, err := c.Find(to.kind, id); err == nil { // only what the caller may see
					used[to.member] = append(used[to.member], user)
				}
			}
		}
	}
	answer := map[string]any{"Id": "usages-" + d.ID, "Links": map[string]string{"Self": collection.Base(d.Space) + "/certificates/" + d.ID + "/usages"}}
	for member, list := range used {
		answer[member] = list
	}
	return answer, nil
}
