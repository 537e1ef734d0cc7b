package step

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/configfile"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/pack"
)

// configures tells whether files of a package are changed on the way.
func configures(p *run.Piece) bool {
	return enabled(p, "Octopus.Features.SubstituteInFiles") || structured(p) || settings(p)
}

func settings(p *run.Piece) bool {
	return enabled(p, "Octopus.Features.ConfigurationVariables") && flag(p, "Octopus.Action.Package.AutomaticallyUpdateAppSettingsAndConnectionStrings", false)
}

func structured(p *run.Piece) bool {
	return enabled(p, "Octopus.Features.JsonConfigurationVariables") || flag(p, "Octopus.Action.Package.JsonConfigurationVariablesEnabled", false)
}

// configure puts variables into files of a package (docs: projects/steps/configuration-features/
// substitute-variables-in-templates and its neighbours), in the order of docs: deployments/packages/
// package-deployment-feature-ordering.
func (w *Worker) configure(p *run.Piece, dir string) error {
	if enabled(p, "Octopus.Features.SubstituteInFiles") {
		warn := flag(p, "Octopus.Action.SubstituteInFiles.EnableNoMatchWarning", true)
		if err := eachNamed(p, dir, "Octopus.Action.SubstituteInFiles.TargetFiles", warn, substitute); err != nil {
			return err
		}
	}
	if settings(p) {
		if err := each(p, dir, []string{"**/*.config"}, false, replaceSettings); err != nil {
			return err
		}
	}
	if structured(p) {
		if err := eachNamed(p, dir, "Octopus.Action.Package.JsonConfigurationVariablesTargets", true, replaceValues); err != nil {
			return err
		}
	}
	return w.transforms(p, dir)
}

// change is what becomes of a file.
type change func(p *run.Piece, name string, old []byte) ([]byte, error)

// eachNamed changes the files that the patterns of a setting name.
func eachNamed(p *run.Piece, dir, setting string, warn bool, change change) error {
	patterns, err := text(p, setting)
	if err != nil {
		return err
	}
	return each(p, dir, pack.Lines(patterns), warn, change)
}

func each(p *run.Piece, dir string, patterns []string, warn bool, change change) error {
	files, without, err := pack.Find(dir, patterns...)
	if err != nil {
		return err
	}
	for _, pattern := range without {
		if warn {
			p.Warn()
			p.Log.Write(activity.Warning, fmt.Sprintf("No file of the package matches '%s'.", pattern))
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range files {
		if err := rewrite(p, root, name, change); err != nil {
			return fmt.Errorf("%s: %w", filepath.ToSlash(name), err)
		}
	}
	return nil
}

func rewrite(p *run.Piece, root *os.Root, name string, change change) error {
	const large = 64 << 20
	info, err := root.Stat(name)
	if err != nil {
		return err
	}
	if info.Size() > large {
		return plan.Refusal("the file is too large to put variables into")
	}
	old, err := root.ReadFile(name)
	if err != nil {
		return err
	}
	changed, err := change(p, name, old)
	if err != nil || bytes.Equal(changed, old) {
		return err
	}
	return root.WriteFile(name, changed, info.Mode().Perm())
}

// substitute expands the expressions in a file. What stays unexpanded fails the step where that is wanted.
func substitute(p *run.Piece, name string, old []byte) ([]byte, error) {
	p.Log.Write(activity.Verbose, "Substituting variables in "+filepath.ToSlash(name))
	result, err := p.Variables.ExpandFile(string(old))
	if err != nil {
		return nil, err
	}
	if len(result.Missing) > 0 {
		what := "there are no values for " + strings.Join(result.Missing, ", ")
		if flag(p, "OctopusShouldFailDeploymentOnSubstitutionFails", false) {
			return nil, plan.Refusal(what)
		}
		p.Warn()
		p.Log.Write(activity.Warning, filepath.ToSlash(name)+": "+what)
	}
	return []byte(result.Text), nil
}

// transforms says of XML configuration transforms that they are not done, where there is something to do.
func (w *Worker) transforms(p *run.Piece, dir string) error {
	if !enabled(p, "Octopus.Features.ConfigurationTransforms") || !flag(p, "Octopus.Action.Package.AutomaticallyRunConfigurationTransformationFiles", false) {
		return nil
	}
	environment, err := text(p, "Octopus.Environment.Name")
	if err != nil {
		return err
	}
	files, _, err := pack.Find(dir, "**/*.config")
	for _, name := range files {
		lower := strings.ToLower(filepath.ToSlash(name))
		if strings.HasSuffix(lower, ".release.config") || strings.HasSuffix(lower, "."+strings.ToLower(environment)+".config") {
			p.Warn()
			p.Log.Write(activity.Warning, "This Space server does not run XML configuration transforms: "+filepath.ToSlash(name)+" has no effect.")
		}
	}
	return err
}

// topScript finds a script of a stage at the top of a package, by its name in any case: PreDeploy.sh before .py before .ps1
// (docs: deployments/custom-scripts/scripts-in-packages).
func topScript(dir, stage string) (name string, all []string, err error) {
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		return "", nil, err
	}
	for _, extension := range []string{".sh", ".py", ".ps1"} {
		for _, e := range entries {
			if e.Type().IsRegular() && strings.EqualFold(e.Name(), stage+extension) {
				if name == "" {
					name = e.Name()
				}
				all = append(all, e.Name())
			}
		}
	}
	return name, all, nil
}

// replaceValues puts variables into a structured file: JSON, YAML, XML or properties.
func replaceValues(p *run.Piece, name string, old []byte) ([]byte, error) {
	format, ok := configfile.Detect(name, old)
	if !ok {
		return nil, plan.Refusal("it is neither JSON nor YAML, XML or properties")
	}
	return replaceIn(p, name, format, old)
}

// replaceSettings puts variables into a .NET configuration file.
func replaceSettings(p *run.Piece, name string, old []byte) ([]byte, error) {
	return replaceIn(p, name, configfile.Settings, old)
}

func replaceIn(p *run.Piece, name string, format configfile.Format, old []byte) ([]byte, error) {
	changed, report, err := configfile.Replace(format, old, p.Variables)
	if err != nil {
		if !flag(p, "Octopus.Action.Package.IgnoreVariableReplacementErrors", false) {
			return nil, err
		}
		p.Warn()
		p.Log.Write(activity.Warning, filepath.ToSlash(name)+": "+err.Error())
		return old, nil
	}
	if len(report.Replaced) > 0 {
		p.Log.Write(activity.Verbose, fmt.Sprintf("Replaced %s in %s", strings.Join(report.Replaced, ", "), filepath.ToSlash(name)))
	}
	if len(report.Skipped) > 0 {
		p.Warn()
		p.Log.Write(activity.Warning, fmt.Sprintf("%s: the values of %s do not fit where they belong", filepath.ToSlash(name), strings.Join(report.Skipped, ", ")))
	}
	return changed, nil
}
