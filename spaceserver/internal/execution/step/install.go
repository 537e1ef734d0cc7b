package step

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Retention says how many earlier installations of a package stay on a target (docs: administration/retention-policies).
type Retention struct {
	Forever bool
	Items   int // beside the current one
	Days    int
}

// installation is a line of a target's journal: what was installed where, by which step.
type installation struct {
	Set                 string // the same step for the same project, environment, tenant and target
	PackageID, Version  string
	ExtractedTo, Custom string
	PackageFile         string `json:",omitempty"`
	Succeeded           bool
	At                  time.Time
	Task                string
}

// journalName is the journal's file in a package's folder.
const journalName = ".installations"

// prepare is the server's script that reads the journal and makes a new folder: the version's name, or that and a number
// where it was installed before, because what runs from the old one must not be disturbed.
func prepare(home, version, set string) string {
	return `set -e
journal=` + quote(home+"/"+journalName) + `
if [ -f "$journal" ]; then grep -F -- ` + quote(`"Set":`+marshal(set)) + ` "$journal" | tail -n 500 || true; fi
base=` + quote(home+"/"+version) + `
dir=$base; n=0
until mkdir -- "$dir" 2>/dev/null; do
  [ -e "$dir" ] || mkdir -- "$dir"
  n=$((n+1)); dir=${base}_$n
done
printf 'octopus-folder:%s\n' "$dir"
`
}

func marshal(v any) string {
	b, _ := json.Marshal(v) // texts, numbers and times always marshal
	return string(b)
}

// prepared reads what prepare printed.
func prepared(lines []string) (dir string, earlier []installation) {
	for _, line := range lines {
		if found, ok := strings.CutPrefix(line, "octopus-folder:"); ok {
			dir = found
			continue
		}
		var i installation
		if json.Unmarshal([]byte(line), &i) == nil {
			earlier = append(earlier, i)
		}
	}
	return dir, earlier
}

// outdated are the installations that need not be kept beside the new one: all but the newest so many that succeeded, or
// those that are older than so many days. One that lies where the new one lies is never given.
func (r Retention) outdated(earlier []installation, current string, now time.Time) []installation {
	if r.Forever || r.Items <= 0 && r.Days <= 0 {
		return nil
	}
	var old []installation
	kept := 0
	for _, i := range slices.Backward(earlier) {
		switch {
		case i.ExtractedTo == "" || i.ExtractedTo == current:
		case r.Items > 0 && kept < r.Items && i.Succeeded:
			kept++
		case r.Days > 0 && now.Sub(i.At) < time.Duration(r.Days)*24*time.Hour:
		default:
			old = append(old, i)
		}
	}
	return old
}

// conclude is the server's script that ends an installation: it takes the scripts of the stages away, writes the journal, and
// removes what need not be kept, but only within the package's folder.
func conclude(home, dir string, scripts []string, new installation, old []installation) string {
	var b strings.Builder
	b.WriteString("set -e\njournal=" + quote(home+"/"+journalName) + "\n")
	if len(scripts) > 0 {
		b.WriteString("cd -- " + quote(dir) + "\nrm -f --")
		for _, name := range scripts {
			b.WriteString(" ./" + quote(name))
		}
		b.WriteString("\n")
	}
	b.WriteString("printf '%s\\n' " + quote(marshal(new)) + " >>\"$journal\"\n")
	for _, i := range old {
		if !strings.HasPrefix(i.ExtractedTo, home+"/") || strings.Contains(i.ExtractedTo, "/../") {
			continue
		}
		b.WriteString("rm -rf -- " + quote(i.ExtractedTo) + "\n" +
			"grep -vF -- " + quote(`"ExtractedTo":`+marshal(i.ExtractedTo)+",") + " \"$journal\" >\"$journal." + strconv.Itoa(len(old)) + "\" || true\n" +
			"mv -f -- \"$journal." + strconv.Itoa(len(old)) + "\" \"$journal\"\n")
	}
	return b.String()
}

// copyTo is the server's script that copies an installation to a folder that people chose, emptied before where they want,
// but for what fits their patterns (docs: projects/steps/configuration-features/custom-installation-directory).
func copyTo(from, to string, purge bool, keep []string) string {
	var b strings.Builder
	b.WriteString("set -e\nfrom=" + quote(from) + "\nto=" + quote(to) + "\nmkdir -p -- \"$to\"\n")
	if purge {
		b.WriteString(`cd -- "$to"
shopt -s globstar dotglob nullglob nocaseglob
declare -A keep
IFS=$'\n'
for pattern in`)
		for _, k := range keep {
			b.WriteString(" " + quote(strings.TrimPrefix(strings.ReplaceAll(k, `\`, "/"), "./")))
		}
		b.WriteString(`; do
  for f in $pattern; do keep["./${f%/}"]=1; done
done
find . -mindepth 1 -depth -print0 | while IFS= read -r -d '' f; do
  p=$f; kept=
  while [ "$p" != . ]; do if [ -n "${keep[$p]:-}" ]; then kept=1; break; fi; p=${p%/*}; done
  if [ -n "$kept" ]; then continue; fi
  if [ -d "$f" ] && [ ! -L "$f" ]; then rmdir -- "$f" 2>/dev/null || true; else rm -f -- "$f"; fi
done
`)
	}
	b.WriteString(`cp -a -- "$from/." "$to/"
find "$from" -type f | wc -l
`)
	return b.String()
}
