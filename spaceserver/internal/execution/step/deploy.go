package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/pack"
	"odcm/spaceserver/internal/script"
)

// deployment is one package on its way to one place.
type deployment struct {
	*Worker
	piece   *run.Piece
	place   script.Place
	found   Found
	tree    *tree
	root    string // of the place
	home    string // the package's folder there: all its versions, and the journal of their installations
	dir     string // where the package lies at the place
	current string // where its scripts run: dir, or the custom folder
	set     string
	earlier []installation
	scripts []string // of the package, that are taken away at the end
	out     *output
}

// deploy deploys a package, in the order that is documented (docs: deployments/packages/package-deployment-feature-ordering).
func (w *Worker) deploy(ctx context.Context, p *run.Piece) error {
	i := slices.IndexFunc(p.Job.Action.Packages, func(r plan.Package) bool { return r.Name == "" })
	if i < 0 {
		return plan.Refusal("the step names no package")
	}
	found, err := w.Find(ctx, p, p.Job.Action.Packages[i])
	if err != nil {
		return err
	}
	d := &deployment{Worker: w, piece: p, found: found}
	if d.place, err = w.At(ctx, p); err != nil {
		return err
	}
	if d.root, err = d.place.Root(ctx); err != nil {
		return err
	}
	d.out = &output{ctx: ctx, worker: w, piece: p}
	if err := d.settle(); err != nil {
		return err
	}
	// Two that deploy the same package to the same place would take its folder from each other.
	where := "" // this server, or a worker
	if p.Job.On == plan.Target && p.Machine.Style() != "None" {
		where = p.Machine.ID
	}
	release, err := w.Lock(ctx, "package "+where+" "+d.home)
	if err != nil {
		return err
	}
	defer release()
	installed, err := d.prepare(ctx)
	if err != nil || installed {
		return err
	}
	err = d.install(ctx)
	if d.tree != nil {
		defer d.tree.remove()
	}
	if err != nil && ctx.Err() == nil {
		if failed := d.stage(ctx, "DeployFailed"); failed != nil {
			p.Log.Write(activity.Error, "DeployFailed: "+failed.Error())
		}
	}
	// Also of what was canceled the target must know; the time for it is short.
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if ended := d.conclude(final, err == nil); err == nil {
		err = ended
	}
	return err
}

// settle says which folder the package has at the place: ~/.octopus/Applications/Tenant/Environment/Package/Version, the
// tenant where there is one (ApplicationDirectory.cs in OctopusDeploy/Calamari).
func (d *deployment) settle() (err error) {
	names := []string{d.root, "Applications"}
	for _, name := range []string{"Octopus.Deployment.Tenant.Name", "Octopus.Environment.Name"} {
		value, err := text(d.piece, name)
		if err != nil {
			return err
		}
		if value != "" {
			names = append(names, fileName(value))
		}
	}
	d.home = path.Join(append(names, fileName(d.found.ID))...)
	d.set, err = text(d.piece, "OctopusRetentionPolicySet")
	return err
}

// prepare makes a folder for the package, and tells whether it is installed already and that is enough
// (Octopus.Action.Package.SkipIfAlreadyInstalled).
func (d *deployment) prepare(ctx context.Context) (installed bool, err error) {
	p := d.piece
	// The folder must be there before a script that may see nothing else of the server.
	if _, err := d.place.Upload(ctx, path.Join(d.home, ".octopus"), 0o644, strings.NewReader("")); err != nil {
		return false, fmt.Errorf("the folder for the package could not be made: %w", err)
	}
	lines, err := d.own(ctx, d.place, d.work("prepare", prepare(d.home, fileName(d.found.Version), d.set)), &quiet{})
	if err != nil {
		return false, fmt.Errorf("the folder for the package could not be made: %w", err)
	}
	d.dir, d.earlier = prepared(lines)
	if d.dir == "" {
		return false, plan.Refusal("the folder for the package could not be made")
	}
	d.current = d.dir
	d.remember()
	if d.Redeploy || !flag(p, "Octopus.Action.Package.SkipIfAlreadyInstalled", false) || len(d.earlier) == 0 {
		return false, nil
	}
	last := d.earlier[len(d.earlier)-1]
	if !strings.EqualFold(last.PackageID, d.found.ID) || last.Version != d.found.Version {
		return false, nil
	}
	if !last.Succeeded {
		p.Log.Write(activity.Info, "The last attempt to install this package did not succeed: it is installed again.")
		return false, nil
	}
	p.Log.Write(activity.Info, "The package is installed already: nothing is done.")
	d.told(last.ExtractedTo, last.Custom)
	_, err = d.own(ctx, d.place, d.work("leave", "rmdir -- "+quote(d.dir)+"\n"), &quiet{})
	return true, err
}

// remember makes variables of what was installed before (docs: projects/variables/system-variables,
// Octopus.Tentacle.PreviousInstallation).
func (d *deployment) remember() {
	set := func(prefix string, i installation) {
		prefix = "Octopus.Tentacle." + prefix + "."
		d.piece.Variables.Set(prefix+"OriginalInstalledPath", i.ExtractedTo, false)
		d.piece.Variables.Set(prefix+"CustomInstallationDirectory", i.Custom, false)
		d.piece.Variables.Set(prefix+"PackageFilePath", i.PackageFile, false)
		d.piece.Variables.Set(prefix+"PackageVersion", i.Version, false)
	}
	var last, good installation
	for _, i := range d.earlier {
		if last = i; i.Succeeded {
			good = i
		}
	}
	set("PreviousInstallation", last)
	set("PreviousSuccessfulInstallation", good)
}

// work is a script in a folder of its own for each purpose; all may use the package's folder.
func (d *deployment) work(purpose, body string) script.Work {
	return script.Work{Folder: path.Join(d.folder(d.piece), purpose), Body: body, Reads: []string{d.home}}
}

// install extracts the package and goes through its conventions.
func (d *deployment) install(ctx context.Context) error {
	p := d.piece
	dir, err := d.temporary()
	if err != nil {
		return err
	}
	content := &tree{dir: dir, at: d.dir}
	summary, err := pack.Extract(ctx, d.found.Path, d.found.FileName(), dir, pack.Limits{})
	if err != nil {
		content.remove() // there is nothing that a DeployFailed script could be in
		return err
	}
	d.tree = content
	p.Log.Write(activity.Info, fmt.Sprintf("Deploying package %s to %s", d.found.FileName(), d.dir))
	d.variables(summary.Files)
	before, err := d.hasStage("PreDeploy")
	if err != nil {
		return err
	}
	if !before { // the usual case: files are changed here, and sent once
		if err := d.configure(p, d.tree.dir); err != nil {
			return err
		}
	}
	if err := d.send(ctx); err != nil {
		return err
	}
	if before {
		if err := d.stage(ctx, "PreDeploy"); err != nil || d.out.skipRest {
			return err
		}
		if err := d.configureThere(ctx); err != nil {
			return err
		}
	}
	if err := d.custom(ctx); err != nil {
		return err
	}
	for _, stage := range []string{"Deploy", "PostDeploy"} {
		if d.out.skipRest {
			return nil
		}
		if err := d.stage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) variables(files int) {
	v := d.piece.Variables
	for name, value := range map[string]string{"Octopus.Action.Package.PackageId": d.found.ID, "Octopus.Action.Package.PackageVersion": d.found.Version, "Octopus.Action.Package.FeedId": d.found.Feed,
		"Octopus.Action.Package[].PackageId": d.found.ID, "Octopus.Action.Package[].PackageVersion": d.found.Version, "OctopusOriginalPackageDirectoryPath": d.dir} {
		v.Set(name, value, false)
	}
	d.piece.Output("Package.ExtractedFileCount", strconv.Itoa(files), false)
	d.told(d.dir, "")
}

// told says where the package is installed, to scripts and to later steps, under both names that it has.
func (d *deployment) told(dir, custom string) {
	if custom != "" {
		dir = custom
	}
	d.piece.Variables.Set("Octopus.Action.Package.InstallationDirectoryPath", dir, false)
	d.piece.Output("Octopus.Action.Package.InstallationDirectoryPath", dir, false)
	d.piece.Output("Package.InstallationDirectoryPath", dir, false)
}

// send puts the files into the package's folder at the place.
func (d *deployment) send(ctx context.Context) error {
	w := d.work("send", "set -e\ntar -xf "+archiveName+" -C "+quote(d.dir)+"\n")
	w.Files = []script.File{d.tree.file()}
	if _, err := d.own(ctx, d.place, w, &quiet{}); err != nil {
		return fmt.Errorf("the package could not be extracted to %s: %w", d.dir, err)
	}
	return nil
}

// configureThere changes files after scripts may have made or changed them: it fetches them, and sends back the result.
func (d *deployment) configureThere(ctx context.Context) error {
	if !configures(d.piece) {
		return d.transforms(d.piece, d.tree.dir)
	}
	dir, err := d.temporary()
	if err != nil {
		return err
	}
	fetched := &tree{dir: dir, at: d.dir}
	defer func() { fetched.remove() }()
	out := &quiet{artifact: func(content io.Reader) error {
		file := filepath.Join(dir, archiveName)
		if err := save(file, content); err != nil {
			return err
		}
		fetched.dir = filepath.Join(dir, "content")
		_, err := pack.Extract(ctx, file, archiveName, fetched.dir, pack.Limits{})
		return err
	}}
	_, err = d.own(ctx, d.place, d.work("fetch", "set -e\ntar -cf "+archiveName+" -C "+quote(d.dir)+" .\nnew_octopusartifact "+archiveName+"\n"), out)
	if err == nil && fetched.dir == dir {
		err = plan.Refusal("nothing came back")
	}
	if err != nil {
		return fmt.Errorf("the package's files could not be read from %s: %w", d.dir, err)
	}
	if err := d.configure(d.piece, fetched.dir); err != nil {
		return err
	}
	mine := d.tree
	d.tree = fetched
	err = d.send(ctx)
	d.tree, fetched.dir = mine, dir
	return err
}

// custom copies the package to a folder of people's choice.
func (d *deployment) custom(ctx context.Context) error {
	to, err := text(d.piece, "Octopus.Action.Package.CustomInstallationDirectory")
	if err != nil {
		return fmt.Errorf("the custom installation directory cannot be evaluated: %w", err)
	}
	if to == "" {
		return nil
	}
	to = path.Clean(to)
	switch {
	case !path.IsAbs(to) || strings.Contains(to, "#{"):
		return plan.Refusal("the custom installation directory '" + to + "' is not an absolute path")
	case to == "/" || to == d.dir || strings.HasPrefix(to, d.dir+"/"):
		return plan.Refusal("the custom installation directory '" + to + "' must be another than the package's own folder")
	}
	keep, err := text(d.piece, "Octopus.Action.Package.CustomInstallationDirectoryPurgeExclusions")
	if err != nil {
		return err
	}
	purge := flag(d.piece, "Octopus.Action.Package.CustomInstallationDirectoryShouldBePurgedBeforeDeployment", false)
	w := d.work("copy", copyTo(d.dir, to, purge, pack.Lines(keep)))
	w.Reads = append(w.Reads, to)
	lines, err := d.own(ctx, d.place, w, &quiet{})
	if err != nil {
		return fmt.Errorf("the package could not be copied to %s: %w", to, err)
	}
	d.current = to
	d.piece.Log.Write(activity.Info, "The package was copied to "+to)
	if len(lines) > 0 {
		d.piece.Output("Package.CopiedFileCount", strings.TrimSpace(lines[len(lines)-1]), false)
	}
	d.told(d.dir, to)
	return nil
}

// stages are the languages of scripts that a step can hold for a stage, in their order.
var stages = []struct {
	extension string
	syntax    script.Syntax
}{{"sh", script.Bash}, {"py", script.Python}, {"ps1", script.PowerShell}}

func (d *deployment) configured(stage string) (bodies []script.Work, err error) {
	if !enabled(d.piece, "Octopus.Features.CustomScripts") {
		return nil, nil
	}
	for _, s := range stages {
		name := "Octopus.Action.CustomScripts." + stage + "." + s.extension
		if raw, there := d.piece.Variables.Lookup(name); !there || strings.TrimSpace(raw) == "" {
			continue
		}
		body, err := expandScript(d.piece, name)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, script.Work{Syntax: s.syntax, Body: body})
	}
	return bodies, nil
}

func (d *deployment) hasStage(stage string) (bool, error) {
	configured, err := d.configured(stage)
	if err != nil {
		return false, err
	}
	name, _, err := topScript(d.tree.dir, stage)
	return len(configured) > 0 || name != "" && d.runsPackaged(), err
}

func (d *deployment) runsPackaged() bool {
	return flag(d.piece, "Octopus.Action.Package.RunScripts", true)
}

// stage runs the scripts of a stage: the step's own before the package's for PreDeploy, behind them for the others
// (DeployPackageCommand.cs in OctopusDeploy/Calamari).
func (d *deployment) stage(ctx context.Context, stage string) error {
	if d.tree == nil {
		return nil
	}
	works, err := d.configured(stage)
	if err != nil {
		return err
	}
	name, all, err := topScript(d.tree.dir, stage)
	if err != nil {
		return err
	}
	if name != "" && d.runsPackaged() {
		d.scripts = append(d.scripts, all...)
		body, err := d.tree.read(name)
		if err != nil {
			return err
		}
		packaged := script.Work{Syntax: syntaxOf(name), Body: string(body)}
		if works = append(works, packaged); stage != "PreDeploy" {
			works = append([]script.Work{packaged}, works[:len(works)-1]...)
		}
	}
	for i, w := range works {
		d.piece.Log.Write(activity.Verbose, "Running "+stage)
		w.Folder, w.WorkingDir, w.Reads = path.Join(d.folder(d.piece), stage+strconv.Itoa(i)), d.current, []string{d.home, d.current}
		if err := d.run(ctx, d.piece, d.place, w, d.out); err != nil {
			var exit *script.ExitError
			if errors.As(err, &exit) {
				return fmt.Errorf("%s: %w", stage, err)
			}
			return err
		}
	}
	return nil
}

// conclude tells the target's journal how it went, and removes what retention does not keep.
func (d *deployment) conclude(ctx context.Context, succeeded bool) error {
	new := installation{Set: d.set, PackageID: d.found.ID, Version: d.found.Version, ExtractedTo: d.dir, Succeeded: succeeded, At: time.Now().UTC().Truncate(time.Second), Task: d.Folder}
	if d.current != d.dir {
		new.Custom = d.current
	}
	var old []installation
	scripts := d.scripts
	if !succeeded || !flag(d.piece, "OctopusDeleteScriptsOnCleanup", true) {
		scripts = nil
	}
	if succeeded {
		old = d.Retain.outdated(d.earlier, d.dir, new.At)
	}
	w := d.work("conclude", conclude(d.home, d.current, scripts, new, old))
	if d.current != d.dir {
		w.Reads = append(w.Reads, d.current)
	}
	_, err := d.own(ctx, d.place, w, &quiet{})
	return err
}
