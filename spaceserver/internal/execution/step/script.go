package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/script"
)

// script runs a script step (docs: deployments/custom-scripts/run-a-script-step).
func (w *Worker) script(ctx context.Context, p *run.Piece) error {
	place, err := w.At(ctx, p)
	if err != nil {
		return err
	}
	work := script.Work{Folder: w.folder(p)}
	source, err := text(p, "Octopus.Action.Script.ScriptSource")
	if err != nil {
		return err
	}
	var content *tree
	if len(p.Job.Action.Packages) > 0 {
		if content, err = w.references(ctx, p, place, work.Folder); err != nil {
			return err
		}
		defer content.remove()
	}
	switch source {
	case "", "Inline":
		work.Syntax, work.Body, err = inline(p)
	case "Package":
		err = w.packaged(p, place, content, &work)
	default:
		err = plan.Refusal("scripts from '" + source + "' are not supported: put the script into the step or into a package")
	}
	if err != nil {
		return err
	}
	if work.Arguments, err = text(p, "Octopus.Action.Script.ScriptParameters"); err != nil {
		return fmt.Errorf("the script's parameters cannot be evaluated: %w", err)
	}
	if content != nil {
		if err := w.lay(ctx, place, content, work.Folder); err != nil {
			return err
		}
	}
	return w.run(ctx, p, place, work, &output{ctx: ctx, worker: w, piece: p})
}

// inline is the script that the step holds. Text in it that only looks like an expression stays as it is, as on an Octopus
// server.
func inline(p *run.Piece) (script.Syntax, string, error) {
	language, err := text(p, "Octopus.Action.Script.Syntax")
	if err != nil {
		return "", "", err
	}
	if language == "" {
		language = string(script.PowerShell)
	}
	for _, name := range []string{"Octopus.Action.Script.ScriptBody", "Octopus.Action.Script.ScriptBody[" + language + "]"} {
		if _, there := p.Variables.Lookup(name); !there {
			continue
		}
		body, err := expandScript(p, name)
		if err != nil || strings.TrimSpace(body) != "" {
			return script.Syntax(language), body, err
		}
	}
	return "", "", plan.Refusal("the step has no script")
}

// expandScript expands a script that the step holds.
func expandScript(p *run.Piece, name string) (string, error) {
	body, err := text(p, name)
	if err != nil {
		return "", fmt.Errorf("the script cannot be evaluated: %w", err)
	}
	return body, nil
}

// packaged takes the script out of the step's package. Its expressions are always expanded; it runs in its own folder.
func (w *Worker) packaged(p *run.Piece, place script.Place, content *tree, work *script.Work) error {
	file, err := text(p, "Octopus.Action.Script.ScriptFileName")
	if err != nil {
		return err
	}
	if content == nil || file == "" {
		return plan.Refusal("the step runs a script from a package, and names no package or no file in it")
	}
	file = path.Clean(strings.ReplaceAll(file, `\`, "/"))
	body, err := content.read(filepath.FromSlash(file))
	if err != nil {
		return plan.Refusal(fmt.Sprintf("there is no file '%s' in the package", file))
	}
	if work.Syntax = syntaxOf(file); work.Syntax == "" {
		return plan.Refusal(fmt.Sprintf("'%s' is not a script that this Space server runs: it runs .sh, .py and .ps1", file))
	}
	expanded, err := p.Variables.ExpandFile(string(body))
	if err != nil {
		return fmt.Errorf("the script cannot be evaluated: %w", err)
	}
	work.Body = expanded.Text
	work.WorkingDir = path.Join(content.at, path.Dir(file))
	return nil
}

// syntaxOf is the language of a script by its name.
func syntaxOf(file string) script.Syntax {
	return map[string]script.Syntax{".sh": script.Bash, ".py": script.Python, ".ps1": script.PowerShell}[strings.ToLower(path.Ext(file))]
}

// run runs a script of people's with all variables, and tells how it failed.
func (w *Worker) run(ctx context.Context, p *run.Piece, place script.Place, work script.Work, out *output) error {
	work.Modules = w.Modules[work.Syntax]
	names := p.Variables.Names("")
	work.Variables = make(map[string]string, len(names))
	for _, name := range names {
		value, there, err := p.Variables.Get(name)
		if err != nil {
			return fmt.Errorf("the variable '%s' cannot be evaluated: %w", name, err)
		}
		if !there {
			continue
		}
		work.Variables[name] = value
		if p.Variables.Sensitive(name) {
			work.Sensitive = append(work.Sensitive, name)
		}
	}
	if err := place.Run(ctx, work, out); err != nil {
		return out.errorOf(err)
	}
	if out.lost != nil {
		return out.lost
	}
	if out.complained && flag(p, "Octopus.Action.FailScriptOnErrorOutput", false) {
		return plan.Refusal("the script wrote to its error output, and the step is set to fail then")
	}
	return nil
}

// own runs a script of the server's own, and returns what it printed.
func (w *Worker) own(ctx context.Context, place script.Place, work script.Work, out *quiet) ([]string, error) {
	work.Syntax = script.Bash
	err := place.Run(ctx, work, out)
	var exit *script.ExitError
	if errors.As(err, &exit) && len(out.errors) > 0 {
		return nil, plan.Refusal(strings.Join(out.errors, "; "))
	}
	return out.lines, err
}

// quote is a word of bash that means the text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// temporary makes a folder on this server for a package.
func (w *Worker) temporary() (string, error) {
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(w.Dir, "package-*")
}
