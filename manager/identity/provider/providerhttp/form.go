package providerhttp

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/provider"
)

// maxForm is what of a form is kept in memory; the site bounds the whole.
const maxForm = 256 << 10

// read takes a form. Fields of settings are named as in the API, so that what is wrong is shown beside them.
func (h *handler) read(r *http.Request, kind provider.Kind) (provider.Provider, error) {
	unreadable := func(err error) error {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: load the page again.").Because(err)
	}
	//nolint:gosec // the site bounds every body
	if err := r.ParseMultipartForm(maxForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return provider.Provider{}, unreadable(err)
	}
	p := provider.Provider{Kind: kind, Name: r.PostFormValue("name"), Settings: map[string]string{}, Secrets: map[string]string{}}
	var err1, err2, err3 error
	p.Order, err1 = number(r, "order")
	minutes, err2 := number(r, "syncEvery")
	p.SyncEvery = time.Duration(minutes) * time.Minute
	revision, err3 := number(r, "revision")
	p.Revision = int64(revision)
	if err := errors.Join(err1, err2, err3); err != nil {
		return provider.Provider{}, err
	}
	for _, f := range h.Providers.Fields(kind) {
		value := r.PostFormValue(f.Name)
		if f.File {
			var err error
			if value, err = upload(r, f.Name); err != nil {
				return provider.Provider{}, unreadable(err)
			}
		}
		if slices.Equal(f.Options, onOff) && value == "on" {
			value = "true"
		} else if slices.Equal(f.Options, onOff) {
			value = "false"
		}
		switch {
		case !f.Secret:
			p.Settings[f.Name] = value
		case value != "":
			p.Secrets[f.Name] = value
		}
	}
	return p, nil
}

var onOff = []string{"true", "false"}

func number(r *http.Request, name string) (int, error) {
	text := r.PostFormValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<31-1 {
		return 0, odcm.E(odcm.Invalid, "provider.number-invalid", "Give a whole number.").OnField(name)
	}
	return n, nil
}

func upload(r *http.Request, name string) (string, error) {
	file, _, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxForm))
	return base64.StdEncoding.EncodeToString(b), err
}

// removed tells whether the box was ticked that takes a secret away.
func removed(r *http.Request, name string) bool { return slices.Contains(r.PostForm["remove"], name) }

// fault is what is wrong with a form that a browser without script sent.
type fault struct {
	fields map[string]string
	whole  string
}

func faultOf(err error) fault {
	f := fault{fields: web.Fields(err)}
	if e := (*odcm.Error)(nil); len(f.fields) == 0 && errors.As(err, &e) {
		f.whole = e.Message
	}
	return f
}

// formView is the form of a provider's settings.
type formView struct {
	provider.Provider
	fields []provider.Field
	set    map[string]string // the secrets that are set, by their names
	syncs  bool
	fresh  bool // it is being added
	action string
	fault  fault
}

// section is fields under one heading.
type section struct {
	title          string
	plain, special []provider.Field // the latter are folded away
}

func (v formView) sections() (list []section) {
	for _, f := range v.fields {
		i := slices.IndexFunc(list, func(s section) bool { return s.title == f.Section })
		if i < 0 {
			list = append(list, section{title: f.Section})
			i = len(list) - 1
		}
		if f.Advanced {
			list[i].special = append(list[i].special, f)
		} else {
			list[i].plain = append(list[i].plain, f)
		}
	}
	return list
}

// unfold tells whether a folded part is to be open: something in it is wrong, or is not as it was made.
func (v formView) unfold(fields []provider.Field) bool {
	return slices.ContainsFunc(fields, func(f provider.Field) bool {
		value := v.Settings[f.Name]
		return v.fault.fields[f.Name] != "" || value != "" && value != f.Default
	})
}

func (v formView) isSet(name string) bool {
	_, ok := v.set[name]
	return ok
}

// value is what the field shows: never a secret.
func (v formView) value(f provider.Field) string {
	if f.Secret {
		return ""
	}
	if value, ok := v.Settings[f.Name]; ok && value != "" {
		return value
	}
	return f.Default
}

func (v formView) field(f provider.Field) design.Field {
	d := design.Field{Name: f.Name, Label: f.Label, Help: f.Help, Required: f.Required || len(f.Options) > 0, Value: v.value(f), Error: v.fault.fields[f.Name], Mono: f.Multi, Autocomplete: "off"}
	if f.Secret {
		d.Type, d.Autocomplete = "password", "new-password"
		if v.isSet(f.Name) {
			d.Required, d.Placeholder = false, "Set. Leave empty to keep it."
		}
	}
	if f.File {
		d.Type, d.Placeholder, d.Autocomplete = "file", "", ""
		if v.isSet(f.Name) {
			d.Help = "One is set; choose another to replace it. " + f.Help
		}
	}
	if f.Multi {
		d.Attrs = templ.Attributes{"rows": "4"}
	}
	return d
}

// choice lists the options of a field in words.
func choice(f provider.Field) (options []design.Option) {
	for _, o := range f.Options {
		label := o
		if words, ok := optionNames[o]; ok {
			label = words
		}
		options = append(options, design.Option{Value: o, Label: label})
	}
	return options
}

var optionNames = map[string]string{"ldaps": "LDAPS: TLS from the first byte", "starttls": "StartTLS", "none": "None: passwords can be read on the way",
	"in-chain": "Walked by the server", "step-by-step": "Walked step by step", "direct": "Left out"}

func (v formView) minutes() string {
	if v.SyncEvery == 0 {
		return strconv.Itoa(int(provider.DefaultSyncEvery / time.Minute))
	}
	return strconv.Itoa(int(v.SyncEvery / time.Minute))
}

func kindName(k provider.Kind) string {
	switch k {
	case provider.ActiveDirectory:
		return "Active Directory"
	case provider.LDAP:
		return "LDAP directory"
	case provider.EntraID:
		return "Microsoft Entra ID"
	case provider.Google:
		return "Google Workspace"
	case provider.OpenID:
		return "OpenID Connect"
	}
	return strings.ReplaceAll(string(k), "-", " ")
}

func kindDetail(k provider.Kind) string {
	switch k {
	case provider.ActiveDirectory:
		return "People of a Windows domain sign in by their password, or by their Windows session. Groups come along."
	case provider.LDAP:
		return "OpenLDAP, 389 Directory Server, FreeIPA and others."
	case provider.EntraID:
		return "Azure AD: people of one tenant or several."
	case provider.Google:
		return "People of one domain of Google Workspace."
	case provider.OpenID:
		return "Any provider that speaks OpenID Connect, such as Okta, Keycloak, Auth0."
	}
	return ""
}
