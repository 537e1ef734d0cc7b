package script

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"odcm/spaceserver/internal/problem"
)

//go:embed bootstrap/bash.sh
var bashFunctions string

//go:embed bootstrap/python.py
var pythonFunctions string

//go:embed bootstrap/powershell.ps1
var powerShellFunctions string

// launch is how a script is started, the same everywhere: a program with arguments that tell nothing, and a text for its
// standard input that holds the functions, the variables and the script's arguments. The text is read and its pipe closed
// before the script begins, so that variables are on no disk, in no list of processes and in no environment; the script
// itself reads an empty input.
type launch struct {
	program string            // bash, python3 or pwsh
	args    []string          // of the program; the folder is its environment variable OctopusFolder
	feed    string            // for standard input
	files   map[string]string // to lie in the folder while it runs: the script and its modules
}

// bashStart reads the feed without starting a program, where the descriptor can be opened again: not where it is a
// socket, as sshd makes them.
const bashStart = `{ __octopus_feed=$(</dev/fd/3) || __octopus_feed=$(cat <&3); } 2>/dev/null; exec 3<&-; eval "$__octopus_feed"`

// newLaunch prepares a script. Arguments are in the language's own spelling (docs:
// deployments/custom-scripts/passing-parameters-to-scripts).
func newLaunch(w Work) (*launch, error) {
	extension := map[Syntax]string{Bash: ".sh", Python: ".py", PowerShell: ".ps1"}[w.Syntax]
	if extension == "" {
		return nil, problem.Unsupported("This Space server does not run scripts in '%s': it runs Bash, PowerShell and Python.", w.Syntax)
	}
	l := &launch{files: map[string]string{"Script" + extension: newlines(w.Body)}}
	for name, body := range w.Modules {
		l.files[ModuleFile(name, w.Syntax)] = newlines(body)
	}
	switch w.Syntax {
	case Python:
		l.program, l.args = "python3", []string{"-u", "-c", `import os; exec(compile(os.fdopen(3, encoding="utf-8").read(), "bootstrap", "exec"))`}
		l.feed = pythonFeed(w)
	case PowerShell:
		l.program = "pwsh"
		l.args = []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-Command",
			`$feed = [IO.StreamReader]::new([IO.FileStream]::new([Microsoft.Win32.SafeHandles.SafeFileHandle]::new([IntPtr]3, $true), [IO.FileAccess]::Read)); $text = $feed.ReadToEnd(); $feed.Dispose(); . ([ScriptBlock]::Create($text))`}
		l.feed = powerShellFeed(w)
	default:
		l.program, l.args = "bash", []string{"-c", bashStart, "bash"}
		l.feed = bashFeed(w)
	}
	return l, nil
}

// ModuleFile is the file that a script module becomes next to the script: its name without what is no letter or digit
// (docs: deployments/custom-scripts/script-modules).
func ModuleFile(name string, syntax Syntax) string {
	extension := map[Syntax]string{Bash: ".sh", Python: ".py", PowerShell: ".psm1"}[syntax]
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, name) + extension
}

// newlines gives a text the ends of lines that the programs want: scripts are often written on Windows.
func newlines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func bashFeed(w Work) string {
	var b strings.Builder
	write := func(texts ...string) {
		for _, text := range texts {
			b.WriteString(text)
		}
	}
	size := len(bashFunctions) + 1<<10
	for name, value := range w.Variables {
		size += len(name) + len(value) + 32
	}
	b.Grow(size) // there may be megabytes
	write("unset __octopus_feed\n", bashFunctions, "get_octopusvariable() {\n  case \"${1:-}\" in\n")
	names := slices.Sorted(maps.Keys(w.Variables))
	for _, name := range names {
		write("  ", bashQuoted(name), ") printf '%s\\n' ", bashQuoted(w.Variables[name]), " ;;\n")
	}
	write("  *) echo ;;\n  esac\n}\n")
	if strings.Contains(w.Body, "octopus_parameters") { // only newer bash has such arrays
		write("declare -A octopus_parameters=(\n")
		for _, name := range names {
			write("[", bashQuoted(name), "]=", bashQuoted(w.Variables[name]), "\n")
		}
		write(")\n")
	}
	write(". \"$OctopusFolder/Script.sh\" ", w.Arguments, "\n")
	return b.String()
}

// bashQuoted is a word of bash that means the text. Bash has no way to hold a zero byte.
func bashQuoted(text string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), "'", `'\''`) + "'"
}

func pythonFeed(w Work) string {
	variables, _ := json.Marshal(w.Variables) // a map of text marshals
	if w.Variables == nil {
		variables = []byte("{}")
	}
	decoded := func(text []byte) string {
		return `__import__("base64").b64decode("` + base64.StdEncoding.EncodeToString(text) + `").decode("utf-8")`
	}
	return `octopusvariables = __import__("json").loads(` + decoded(variables) + ")\n" + pythonFunctions + `
__folder = __os.environ["OctopusFolder"]
__sys.path.insert(0, __folder)
__script = __os.path.join(__folder, "Script.py")
__sys.argv = [__script] + __shlex.split(` + decoded([]byte(w.Arguments)) + `)
__given = {name: value for name, value in globals().items() if callable(value) and not name.startswith("__")}
__given["octopusvariables"] = octopusvariables
__runpy.run_path(__script, init_globals=__given, run_name="__main__")
`
}

func powerShellFeed(w Work) string {
	var b strings.Builder
	b.WriteString(powerShellFunctions)
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	for _, name := range slices.Sorted(maps.Keys(w.Variables)) {
		b.WriteString("$OctopusParameters[" + quoted(name) + "] = " + quoted(w.Variables[name]) + "\n")
	}
	// Variables are PowerShell variables too, under their name without special characters (docs:
	// deployments/custom-scripts/using-variables-in-scripts).
	b.WriteString(`foreach ($name in @($OctopusParameters.Keys)) {
    $short = $name -replace '[^a-zA-Z0-9_]', ''
    if ($short -and -not (Get-Variable -Name $short -Scope Script -ErrorAction SilentlyContinue)) { Set-Variable -Name $short -Value $OctopusParameters[$name] -Scope Script }
}
`)
	for _, name := range slices.Sorted(maps.Keys(w.Modules)) {
		b.WriteString("Import-Module -DisableNameChecking (Join-Path $env:OctopusFolder " + quoted(ModuleFile(name, PowerShell)) + ")\n")
	}
	b.WriteString(". (Join-Path $env:OctopusFolder 'Script.ps1') " + w.Arguments + "\nif ($LASTEXITCODE) { exit $LASTEXITCODE }\n")
	return b.String()
}
