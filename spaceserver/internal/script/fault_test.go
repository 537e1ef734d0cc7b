package script_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"odcm/spaceserver/internal/script"
)

func TestAFloodIsBoundedAndTheScriptRunsOn(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{Output: 64 << 10})
	h := &heard{}
	err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: `head -c 20000000 /dev/zero | tr '\0' x; echo; yes | head -n 200000; set_octopusvariable After flood; echo "##octopus[stdout-verbose] is no message of its own"`}, h)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, line := range h.lines {
		kept += len(line)
		if len(line) > 16<<10 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	if kept > 64<<10 || kept < 32<<10 {
		t.Errorf("%d bytes passed", kept)
	}
	if len(h.errors) != 2 || !strings.Contains(h.errors[0], "more than this server keeps") || !strings.Contains(h.errors[1], "bytes of the script's output were left out") {
		t.Errorf("notices %q", h.errors)
	}
	if len(h.messages) != 2 || h.messages[1].Parameters["name"] != "After" {
		t.Errorf("messages %+v", h.messages)
	}
}

func TestNothingOutlivesAScript(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	mark := strconv.Itoa(31000000 + os.Getpid())
	escape := fmt.Sprintf(`sleep %[1]s & setsid sleep %[1]s & (setsid sleep %[1]s &) ; (env -i setsid nohup sleep %[1]s >/dev/null 2>&1 &) ; sleep 0.2; echo ready`, mark)
	t.Run("when it ends", func(t *testing.T) {
		bash(t, l, escape)
		if left := marked(mark); len(left) != 0 {
			t.Errorf("processes %v are left", left)
		}
	})
	t.Run("when it is canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("the task was canceled")
		h := &watching{on: "ready", then: func() {
			if len(marked(mark)) == 0 {
				t.Error("nothing runs")
			}
			cancel(reason)
		}}
		err := l.Run(ctx, script.Work{Syntax: script.Bash, Body: "trap '' TERM INT HUP; " + escape + "; while :; do sleep " + mark + "; done"}, h)
		if !errors.Is(err, reason) {
			t.Errorf("error %v", err)
		}
		if left := marked(mark); len(left) != 0 {
			t.Errorf("processes %v are left", left)
		}
	})
	t.Run("when its time is over", func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("the step took longer than allowed"))
		defer cancel()
		err := l.Run(ctx, script.Work{Syntax: script.Bash, Body: "yes >/dev/null"}, &heard{})
		if err == nil || err.Error() != "the step took longer than allowed" {
			t.Errorf("error %v", err)
		}
	})
}

func TestScriptsCannotLookIntoEachOtherNorIntoTheServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the server's rights are its scripts' rights here, but for what namespaces hide")
	}
	data := t.TempDir()
	for _, name := range []string{"spaceserver.key", "spaceserver.db"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte("the-key"), 0o644); err != nil { // readable on purpose
			t.Fatal(err)
		}
	}
	l := place(t, script.LocalOptions{Data: data})
	victim := &watching{on: "ready"}
	spy := &heard{}
	victim.then = func() {
		err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: `
cat "` + data + `"/spaceserver.key "` + data + `"/spaceserver.db
find "` + data + `" -type f 2>/dev/null | grep -v "^$OctopusFolder/"
cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -a hidden-in
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -a "hidden-in-[a]"
ls /proc | grep -c '^[0-9]'
cat /etc/shadow
kill -KILL -1
echo planted > "` + data + `/planted"
mount -t tmpfs tmpfs /mnt
su -c id
id -u
echo "path of the key: ` + data + `/spaceserver.key" >/dev/null
new_octopusartifact /etc/shadow stolen
echo "##octopus[createArtifact path='$(printf %s /etc/shadow | base64)' name='$(printf %s stolen | base64)']"
ln -s "` + data + `/spaceserver.key" link
echo "##octopus[createArtifact path='$(printf %s link | base64)' name='$(printf %s linked | base64)']"
exit 0`}, spy)
		if err != nil {
			t.Errorf("spy: %v", err)
		}
	}
	err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Folder: "ServerTasks-1/step", Variables: map[string]string{"Secret": "hidden-in-variables"},
		Body: "export SECRET=hidden-in-environment; bash -c 'echo ready; sleep 1; echo hidden-in-argument >file; chmod 777 . file'"}, victim)
	if err != nil {
		t.Fatalf("victim: %v %q", err, victim.errors)
	}
	all := strings.Join(append(spy.lines, spy.errors...), "\n")
	if strings.Contains(all, "the-key") || strings.Contains(all, "hidden-in") || strings.Contains(all, "root:") {
		t.Errorf("the spy saw:\n%s", all)
	}
	for name, content := range spy.artifacts {
		t.Errorf("the spy was given %s: %q", name, content)
	}
	if _, err := os.Stat(filepath.Join(data, "planted")); err == nil {
		t.Error("the spy wrote into the data folder")
	}
	if strings.Join(spy.lines[len(spy.lines)-1:], "") == "0" {
		t.Error("the spy is root")
	}
}

func TestAScriptThatFillsItsDiskIsStopped(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{Disk: 4 << 20})
	t.Run("by many files", func(t *testing.T) {
		t.Parallel()
		err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: `for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero >f$i; done; sleep 30`}, &heard{})
		if err == nil || !strings.Contains(err.Error(), "it filled its folder with more than 4194304 bytes") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("by one large file", func(t *testing.T) {
		t.Parallel()
		err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: `head -c 100000000 /dev/zero >f || exit 9`}, &heard{})
		var exit *script.ExitError
		if !errors.As(err, &exit) || exit.Code != 9 {
			t.Errorf("error %v", err)
		}
	})
}

func TestAForkBombStaysWithinItsLimit(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{Processes: 50})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errors.New("over"))
	defer cancel()
	err := l.Run(ctx, script.Work{Syntax: script.Bash, Body: `b() { b | b & }; b; sleep 5`}, &heard{})
	if err == nil {
		t.Error("it ended well")
	}
	bash(t, l, "true")
}

func TestASignalToItselfEndsAScript(t *testing.T) {
	t.Parallel()
	var exit *script.ExitError
	h := &heard{}
	err := place(t, script.LocalOptions{}).Run(t.Context(), script.Work{Syntax: script.Bash, Body: "kill $$; echo goes on"}, h)
	if !errors.As(err, &exit) || exit.Code != 143 || len(h.lines)+len(h.errors) != 0 {
		t.Errorf("error %v, %q, %q", err, h.lines, h.errors)
	}
}

func TestAnArtifactThatIsRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	h := &heard{refuse: errors.New("the store is full")}
	if err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: "head -c 3000000 /dev/zero >big; new_octopusartifact big"}, h); err != nil {
		t.Fatal(err)
	}
	wantLines(t, h.errors, "The artifact 'big' was not kept: the store is full")
}

func TestWhatAKilledServerLeftIsRemoved(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	left := filepath.Join(data, "work/ServerTasks-1/step-1")
	notes := filepath.Join(data, "work/.running/server-1")
	for _, dir := range []string{left, notes} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(left, "Script.sh"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]string{"good": "ServerTasks-1/step-1", "bad": "../..", "all": "."} {
		if err := os.Symlink(folder, filepath.Join(notes, name)); err != nil {
			t.Fatal(err)
		}
	}
	bash(t, place(t, script.LocalOptions{Data: data}), "true")
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(data); err != nil {
		t.Error(err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"##octopus[setVariable name='TmFtZQ==' value='VmFsdWU=']rest", "##octopus[stdout-warning]", "##octopus[", "##octopus[a b=\"YQ==\"]", "##octopus[a b='%']",
		"##octopus[a b='YQ==' b='Yg==']]", "##octopus[##octopus[a]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, rest, ok := script.ParseMessage(s)
		if !ok {
			if rest != s || m.Name != "" && len(m.Parameters) > 0 {
				t.Errorf("%q is no message, and %q is left", s, rest)
			}
			return
		}
		if m.Name == "" || !strings.HasSuffix(s, rest) || len(rest) >= len(s) || !strings.HasSuffix(strings.TrimSuffix(s, rest), "]") {
			t.Errorf("%q gives %+v and leaves %q", s, m, rest)
		}
		if strings.ContainsAny(s[:len(s)-len(rest)], "\n") {
			t.Errorf("a message of %q has several lines", s)
		}
	})
}

func TestMessagesAreFoundWithinText(t *testing.T) {
	t.Parallel()
	l := place(t, script.LocalOptions{})
	h := &heard{}
	err := l.Run(t.Context(), script.Work{Syntax: script.Bash, Body: `printf 'before ##octopus[x a='"'YQ=='"' ]after##octopus[y]\n##octopus[z\nplain ##octopus[bad v='"'%%'"'] text\r\n\nlast without end'`}, h)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, h.lines, "before ", "after", "##octopus[z", "plain ##octopus[bad v='%'] text", "", "last without end")
	if len(h.messages) != 2 || h.messages[0].Name != "x" || h.messages[0].Parameters["a"] != "a" || h.messages[1].Name != "y" {
		t.Errorf("messages %+v", h.messages)
	}
}

func TestScriptsDieWithTheServer(t *testing.T) {
	mark := os.Getenv("SCRIPT_TEST_SLEEP")
	if mark != "" { // this is the server that is killed
		_ = place(t, script.LocalOptions{Data: os.Getenv("SCRIPT_TEST_DATA")}).Run(t.Context(), script.Work{Syntax: script.Bash, Body: "setsid sleep " + mark + " & sleep " + mark}, &heard{})
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("without namespaces there is nothing that would kill them")
	}
	mark = strconv.Itoa(41000000 + os.Getpid())
	data := t.TempDir()
	server := exec.Command(os.Args[0], "-test.run", "^TestScriptsDieWithTheServer$")
	server.Env = append(os.Environ(), "SCRIPT_TEST_SLEEP="+mark, "SCRIPT_TEST_DATA="+data)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the scripts run", func() bool { return len(marked(mark)) == 2 })
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	until(t, "the scripts are gone", func() bool { return len(marked(mark)) == 0 })
	if left := folders(t, data); len(left) != 1 {
		t.Errorf("the killed server left %v", left)
	}
	bash(t, place(t, script.LocalOptions{Data: data}), "true")
	if left := folders(t, data); len(left) != 0 {
		t.Errorf("still there: %v", left)
	}
}

// folders are those of scripts.
func folders(t *testing.T, data string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(data, "work/[^.]*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// until waits for what happens elsewhere.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			t.Fatalf("it was waited in vain until %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
