package filter

import (
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var versionForm = regexp.MustCompile(`^(?:[vV]?\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.(\d+))?)?[.\-_\\]?([A-Za-z0-9.\-_\\]*)(?:\+([A-Za-z0-9_\-.\\+]*))?$`)

// versionPart gives one part of a version, by the name of the filter without "version". The form is that of release
// versions: up to four numbers, and what follows them as the pre-release (Octopus.Versioning, OctopusVersionParser).
func versionPart(text, part string) (string, bool) {
	m := versionForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", false
	}
	prefix, counter := m[5], ""
	if i := strings.IndexAny(m[5], `.-_\`); i >= 0 {
		prefix, counter = m[5][:i], m[5][i+1:]
	}
	switch part {
	case "major", "minor", "patch", "revision":
		digits := m[map[string]int{"major": 1, "minor": 2, "patch": 3, "revision": 4}[part]]
		if digits == "" {
			return "0", true
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		return strconv.FormatInt(n, 10), err == nil
	case "prerelease":
		return m[5], true
	case "prereleaseprefix":
		return prefix, true
	case "prereleasecounter":
		return counter, true
	case "metadata":
		return m[6], true
	}
	return "", false
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443", "ldap": "389", "ssh": "22"}

// uriPart gives one part of an address. What is wrong with it is said in the text, as Octopus does
// (docs: projects/variables/variable-filters#uripart).
func (f *Call) uriPart() string {
	if len(f.Options) == 0 {
		return "[UriPart error: no argument given]"
	}
	name := f.Options[0]
	u, err := url.Parse(f.Text)
	if err != nil {
		return f.Text
	}
	part, known := uriParts[strings.ToLower(name)]
	switch {
	case strings.EqualFold(name, "IsAbsoluteUri"):
		return strconv.FormatBool(u.IsAbs())
	case !known:
		return "[UriPart " + name + " error: argument '" + name + "' not supported]"
	case !u.IsAbs():
		return "[UriPart " + name + " error: This operation is not supported for a relative URI.]"
	}
	return part(u)
}

var uriParts = map[string]func(*url.URL) string{
	"absolutepath":  absolutePath,
	"absoluteuri":   (*url.URL).String,
	"authority":     authority,
	"dnssafehost":   (*url.URL).Hostname,
	"fragment":      func(u *url.URL) string { return marked("#", u.EscapedFragment()) },
	"host":          (*url.URL).Hostname,
	"hostandport":   func(u *url.URL) string { return net.JoinHostPort(u.Hostname(), port(u)) },
	"hostnametype":  hostNameType,
	"isdefaultport": func(u *url.URL) string { return strconv.FormatBool(port(u) == defaultPorts[u.Scheme]) },
	"isfile":        func(u *url.URL) string { return strconv.FormatBool(u.Scheme == "file") },
	"isloopback": func(u *url.URL) string {
		ip := net.ParseIP(u.Hostname())
		return strconv.FormatBool(strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback())
	},
	"isunc":        func(u *url.URL) string { return strconv.FormatBool(u.Scheme == "file" && u.Host != "") },
	"path":         func(u *url.URL) string { return rooted(u.Path) },
	"pathandquery": func(u *url.URL) string { return absolutePath(u) + marked("?", u.RawQuery) },
	"port": func(u *url.URL) string {
		if p := port(u); p != "" {
			return p
		}
		return "-1" // .NET's sign of no port
	},
	"query":           func(u *url.URL) string { return marked("?", u.RawQuery) },
	"scheme":          func(u *url.URL) string { return u.Scheme },
	"schemeandserver": func(u *url.URL) string { return u.Scheme + "://" + authority(u) },
	"userinfo": func(u *url.URL) string {
		if u.User == nil {
			return ""
		}
		return u.User.String()
	},
}

func marked(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + text
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

func absolutePath(u *url.URL) string { return rooted(u.EscapedPath()) }

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return defaultPorts[u.Scheme]
}

// authority is the host, and the port where it is not the scheme's own.
func authority(u *url.URL) string {
	if p := u.Port(); p == "" || p == defaultPorts[u.Scheme] {
		return u.Hostname()
	}
	return u.Host
}

func hostNameType(u *url.URL) string {
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Hostname() == "":
		return "Basic"
	case ip == nil:
		return "Dns"
	case ip.To4() != nil:
		return "IPv4"
	}
	return "IPv6"
}
