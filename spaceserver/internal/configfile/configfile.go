// Package configfile puts the values of variables into configuration files where their names say: in JSON and YAML by the
// keys that lead to a value ("app:port"), in XML by XPath ("/app/port"), in Java properties by the key, and in .NET's own
// configuration files by the key of a setting (docs: projects/steps/configuration-features/
// structured-configuration-variables-feature and xml-configuration-variables-feature).
package configfile

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"odcm/spaceserver/internal/problem"
)

// Format is a kind of configuration file.
type Format string

// Formats that have structured variables; Settings is .NET's *.config with appSettings, connectionStrings and
// applicationSettings.
const (
	JSON       Format = "JSON"
	YAML       Format = "YAML"
	XML        Format = "XML"
	Properties Format = "Properties"
	Settings   Format = "Settings"
)

// Variables are what values come from; *variable.Collection is one.
type Variables interface {
	// Names returns the names that begin with a prefix.
	Names(prefix string) []string
	// Get returns a value with its expressions expanded.
	Get(name string) (value string, ok bool, err error)
}

// Report tells by names which variables were put into a file, and for which the place was there but the value does not fit.
type Report struct{ Replaced, Skipped []string }

// Detect tells the format of a file: what reads as JSON is JSON, else the extension decides
// (docs: "How the file type for target files is determined").
func Detect(name string, content []byte) (Format, bool) {
	if _, err := readJSON(string(bytes.TrimPrefix(content, mark))); err == nil {
		return JSON, true
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return JSON, true
	case ".yaml", ".yml":
		return YAML, true
	case ".xml":
		return XML, true
	case ".properties":
		return Properties, true
	}
	return "", false
}

var mark = []byte("\xef\xbb\xbf") // a byte order mark stays where it was

// Replace gives a file with the values of variables in it. A file that no variable concerns comes back as it is. It is in
// UTF-8. A file that is not of the format is refused.
func Replace(format Format, content []byte, vars Variables) ([]byte, Report, error) {
	body, marked := bytes.CutPrefix(content, mark)
	if !utf8.Valid(body) {
		return nil, Report{}, problem.Invalid("The configuration file is not in UTF-8.")
	}
	replace := map[Format]func([]byte, *report) ([]byte, error){
		JSON: replaceJSON, YAML: replaceYAML, XML: replaceXML, Properties: replaceProperties, Settings: replaceSettings,
	}[format]
	if replace == nil {
		return nil, Report{}, fmt.Errorf("configfile: unknown format %q", format)
	}
	r := &report{vars: vars}
	changed, err := replace(body, r)
	if err != nil {
		return nil, Report{}, err
	}
	slices.Sort(r.Skipped)
	slices.Sort(r.Replaced)
	r.Report = Report{slices.Compact(r.Replaced), slices.Compact(r.Skipped)}
	if len(r.Replaced) == 0 {
		return content, r.Report, nil
	}
	if marked {
		changed = append(slices.Clone(mark), changed...)
	}
	return changed, r.Report, nil
}

// report asks for values and remembers what became of them.
type report struct {
	Report
	vars Variables
}

// names gives the variables that may stand for a place by keys: Octopus's own are none, but for "Octopus:...".
func (r *report) names() map[string]string {
	names := map[string]string{}
	for _, name := range r.vars.Names("") {
		key := strings.ToLower(name)
		if !strings.HasPrefix(key, "octopus") || strings.HasPrefix(key, "octopus:") {
			names[key] = name
		}
	}
	return names
}

// value is the value of a variable by its name; where there is none, the empty text.
func (r *report) value(name string) (string, error) {
	value, _, err := r.vars.Get(name)
	if err != nil {
		return "", fmt.Errorf("variable %s: %w", name, err)
	}
	return value, nil
}

func malformed(format Format, cause error) error {
	return problem.Invalid(fmt.Sprintf("The configuration file is not well-formed %s.", format)).Because(cause)
}
