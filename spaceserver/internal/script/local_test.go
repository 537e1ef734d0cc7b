package script_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"odcm/spaceserver/internal/script"
)

// heard is an Output that remembers.
type heard struct {
	lines     []string
	errors    []string
	messages  []script.Message
	artifacts map[string]string
	refuse    error
}

func (h *heard) Line(stderr bool, text string) {
	if stderr {
		h.errors = append(h.errors, text)
	} else if !strings.HasPrefix(text, "Runs on the Space server in ") {
		h.lines = append(h.lines, text)
	}
}

func (h *heard) Message(name string, parameters map[string]string) {
	if strings.HasPrefix(name, "stdout-") {
		return
	}
	h.messages = append(h.messages, script.Message{Name: name, Parameters: parameters})
}

func (h *heard) Artifact(name string, content io.Reader) error {
	if h.refuse != nil {
		return h.refuse
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if h.artifacts == nil {
		h.artifacts = map[string]string{}
	}
	h.artifacts[name] = string(b)
	return nil
}

func bash(t *testing.T, l *script.Local, body string) *heard {
	t.Helper()
	h := &heard{}
	if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: body}, h); err != nil {
		t.Fatalf("%v\n%s\n%s", err, strings.Join(h.lines, "\n"), strings.Join(h.errors, "\n"))
	}
	return h
}

func place(t *testing.T, o script.LocalOptions) *script.Local {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	return script.NewLocal(o)
}

func TestScriptsGetWhatTheyAreDueAndNothingElse(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	h := &heard{}
	w := script.Work{Syntax: script.Bash, Arguments: `"a b" c`, Folder: "ServerTasks-1/step-1",
		Variables: map[string]string{"Project.Name": "Web's own", "Lines": "one\ntwo", "Secret": "s3cr3t"}, Sensitive: []string{"Secret"},
		Modules: map[string]string{"My Module": "greet() { echo \"greetings $1\"; }"},
		Files:   []script.File{{Name: "sub/data.txt", Mode: 0o644, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("content\n")), nil }}},
		Body: `source MyModule.sh
greet "$2"
echo "$1|$(get_octopusvariable Project.Name)|$(get_octopusvariable None)|"
get_octopusvariable Lines
cat sub/data.txt
set_octopusvariable Out "value of it" -sensitive
set_octopusvariable Out "another"
update_progress 50 "half way"
echo given > result.txt
new_octopusartifact result.txt "the result"
echo bad >/dev/stderr
env | grep -c s3cr3t
grep -rls "[s]3cr3t" "$OctopusFolder" /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -v /Script.sh
cat
echo "left" >"$TMPDIR/x"
fail_step "no more"`}
	err := l.Run(t.Context(), w, h)
	var exit *script.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || err.Error() != "The remote script failed with exit code 1" {
		t.Fatalf("error %v", err)
	}
	root, err := l.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "ServerTasks-1/step-1")
	wantLines(t, h.lines, "greetings c", "a b|Web's own||", "one", "two", "content", "Artifact the result will be collected from "+folder+"/result.txt after this step completes", "0")
	wantLines(t, h.errors, "bad")
	if h.artifacts["the result"] != "given\n" {
		t.Errorf("artifacts %q", h.artifacts)
	}
	var got []string
	for _, m := range h.messages {
		got = append(got, fmt.Sprint(m.Name, m.Parameters))
	}
	wantLines(t, got, "setVariablemap[name:Out sensitive:True value:value of it]", "setVariablemap[name:Out value:another]", "progressmap[message:half way percentage:50]",
		"createArtifactmap[length:6 name:the result path:"+folder+"/result.txt]", "resultMessagemap[message:no more]")
	if entries, _ := os.ReadDir(root); len(entries) > 2 { // .running and .stage
		t.Errorf("left in the working folder: %v", entries)
	}
}

func TestPythonScriptsRun(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("there is no /usr/bin/python3")
	}
	l := place(t, script.LocalOptions{})
	h := &heard{}
	err := l.Run(t.Context(), script.Work{Syntax: script.Python, Arguments: `'a b' c`, Variables: map[string]string{"Name": "Wéb \"x\""},
		Modules: map[string]string{"My Module": "def greet(who):\n    print('greetings ' + who)\n"}, Body: `import sys
import MyModule
MyModule.greet(sys.argv[2])
print(sys.argv[1], get_octopusvariable("Name"), get_octopusvariable("None"))
set_octopusvariable("Out", "value", sensitive=True)
with open("r.txt", "w") as f:
    f.write("given")
createartifact("r.txt", "result")
updateprogress(10, "ten")
printwarning("careful")
print(len(sys.stdin.read()))
print("bad", file=sys.stderr)
if __name__ == "__main__":
    failstep("no more")
`}, h)
	var exit *script.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 {
		t.Fatalf("error %v, %q", err, h.errors)
	}
	if len(h.lines) != 5 || h.lines[0] != "greetings c" || h.lines[1] != `a b Wéb "x" None` || h.lines[3] != "careful" || h.lines[4] != "0" {
		t.Errorf("lines %q", h.lines)
	}
	if h.artifacts["result"] != "given" || len(h.messages) != 4 || h.messages[3].Parameters["message"] != "no more" {
		t.Errorf("%q, %+v", h.artifacts, h.messages)
	}
	wantLines(t, h.errors, "bad")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	if _, err := os.Stat("/usr/bin/pwsh"); err != nil {
		if err := l.Run(t.Context(), script.Work{Syntax: script.PowerShell, Body: "1"}, &heard{}); err == nil || !strings.Contains(err.Error(), "PowerShell is not installed on the Space server") {
			t.Errorf("error %v", err)
		}
	}
	if err := l.Run(t.Context(), script.Work{Syntax: "CSharp", Body: "1"}, &heard{}); err == nil || !strings.Contains(err.Error(), "does not run scripts in 'CSharp'") {
		t.Errorf("error %v", err)
	}
}

func TestAFolderCanBeKeptForTheNextRun(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	w := script.Work{Syntax: script.Bash, Folder: "ServerTasks-1/pkg", Keep: true, Body: "echo secret-body >/dev/null; echo one > kept.txt; ln -s /etc planted"}
	if err := l.Run(t.Context(), w, &heard{}); err != nil {
		t.Fatal(err)
	}
	root, _ := l.Root(t.Context())
	if entries, _ := os.ReadDir(filepath.Join(root, w.Folder)); len(entries) != 2 {
		t.Errorf("kept: %v", entries)
	}
	if _, err := l.Upload(t.Context(), "ServerTasks-1/pkg/planted/motd-of-ours", 0o644, strings.NewReader("x")); err == nil {
		t.Error("an upload followed a link that a script planted")
	}
	if _, err := l.Upload(t.Context(), "/etc/motd-of-ours", 0o644, strings.NewReader("x")); err == nil {
		t.Error("an upload went outside")
	}
	at, err := l.Upload(t.Context(), "ServerTasks-1/pkg/sub/tool", 0o700, strings.NewReader("#!/bin/sh\necho tool\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	w2 := script.Work{Syntax: script.Bash, Folder: "ServerTasks-1/step-2", WorkingDir: w.Folder, Body: "cat kept.txt; pwd; " + at + "; echo more >> kept.txt"}
	if err := l.Run(t.Context(), w2, h); err != nil {
		t.Fatal(err, h.errors)
	}
	wantLines(t, h.lines, "one", filepath.Join(root, w.Folder), "tool")
	if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Folder: "ServerTasks-1/step-3", WorkingDir: "ServerTasks-1/pkg/planted", Body: "true"}, &heard{}); err == nil || !strings.Contains(err.Error(), "leads elsewhere") {
		t.Errorf("a script ran where a link that another planted leads: %v", err)
	}
	h = &heard{}
	if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "cat '" + at + "'", Reads: []string{"ServerTasks-1"}}, h); err != nil || len(h.lines) != 2 {
		t.Errorf("%v: %q", err, h.lines)
	}
	open := filepath.Join(root, w.Folder, "open")
	if err := os.WriteFile(open, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil { // as what is extracted is
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	for _, file := range []string{at, open} {
		if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "cat '" + file + "'"}, &heard{}); err == nil {
			t.Errorf("a script reads %s, which is another's", file)
		}
	}
}

func TestTasksHaveUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the server has no other users here")
	}
	data := t.TempDir()
	servers := []*script.Local{place(t, script.LocalOptions{Data: data}), place(t, script.LocalOptions{Data: data})}
	run := func(at int, folder string) string {
		first, second := &watching{on: "ready"}, &heard{}
		first.then = func() { // both run
			w := script.Work{Syntax: script.Bash, Folder: folder, Body: "id -u; pwd >here"}
			if err := servers[at].Run(t.Context(), w, second); err != nil {
				t.Errorf("%v: %q", err, second.errors)
			}
		}
		if err := servers[0].Run(t.Context(), script.Work{Syntax: script.Bash, Folder: "Work/ServerTasks-1/a", Body: "id -u; echo ready"}, first); err != nil {
			t.Error(err)
		}
		if len(first.lines) == 0 || len(second.lines) == 0 {
			t.Fatalf("%q, %q", first.lines, second.lines)
		}
		return fmt.Sprint(first.lines[0] == second.lines[0])
	}
	if got := run(0, "Work/ServerTasks-1/b"); got != "true" {
		t.Error("scripts of a task have different users")
	}
	if got := run(0, "Work/ServerTasks-2/b"); got != "false" {
		t.Error("two tasks have one user")
	}
	if got := run(1, "Work/ServerTasks-3/b"); got != "false" {
		t.Error("tasks of two servers have one user")
	}
}

func TestAStepThatEndsLeavesTheFolderOfItsTaskToTheOthers(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	var together sync.WaitGroup
	for _, step := range []string{"a", "b", "c", "d"} {
		together.Go(func() {
			for range 15 {
				h := &heard{}
				if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Folder: "ServerTasks-1/x/" + step, Body: "pwd >here"}, h); err != nil {
					t.Errorf("%v %q", err, h.errors)
				}
			}
		})
		together.Go(func() {
			for range 100 {
				if _, err := l.Upload(t.Context(), "ServerTasks-1/"+step, 0o600, strings.NewReader("content")); err != nil {
					t.Error(err)
				}
				root, _ := l.Root(t.Context())
				_ = os.Remove(filepath.Join(root, "ServerTasks-1", step))
			}
		})
	}
	together.Wait()
}

func TestScriptsOfATaskRunTogether(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	if _, err := l.Upload(t.Context(), "ServerTasks-1/shared/data", 0o600, strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	var together sync.WaitGroup
	for i := range 20 {
		together.Go(func() {
			h := &heard{}
			w := script.Work{Syntax: script.Bash, Folder: fmt.Sprintf("ServerTasks-%d/step-%d", 1+i%2, i), Body: "cat shared 2>/dev/null; id -u; touch mine"}
			if i%2 == 0 {
				w.Reads = []string{"ServerTasks-1/shared"}
				w.Body = "cd ../shared; cat data; echo; id -u; mkdir made-" + fmt.Sprint(i)
			}
			if err := l.Run(t.Context(), w, h); err != nil || i%2 == 0 && (len(h.lines) != 2 || h.lines[0] != "content") {
				t.Errorf("%v: %q %q", err, h.lines, h.errors)
			}
		})
	}
	together.Wait()
	root, err := l.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "[^.]*/*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
