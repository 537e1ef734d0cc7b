package audithttp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// composed are types that no reading of the source finds out: they are put together from what a variable says.
var composed = map[string][]string{
	"kit/task":           {"task.succeeded", "task.failed", "task.canceled"},
	"manager/alert/desk": {"alert-rule.", "alert-receiver.", "alert-silence.", "alert-window."},
}

// TestEveryEventHasASentence reads the source for the types of events, and wants a sentence for each.
func TestEveryEventHasASentence(t *testing.T) {
	t.Parallel()
	said, appended := sentences(), appendedTypes(t)
	for _, typ := range slices.Sorted(maps.Keys(appended)) {
		if said[typ] == "" {
			t.Errorf("%s, of %s, has no sentence", typ, appended[typ])
		}
	}
	for typ := range said {
		if appended[typ] == "" {
			t.Errorf("nothing appends %s, which has a sentence", typ)
		}
	}
}

// appendedTypes finds the types of all events that the tree appends, and the folder of each.
func appendedTypes(t *testing.T) map[string]string {
	t.Helper()
	types := map[string]string{}
	var folders []*folder
	var all []*ast.File
	root := filepath.Join("..", "..", "..")
	for _, top := range []string{"manager", "kit"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || strings.HasSuffix(path, "test") || d.Name() == "testdata" {
				return err
			}
			at, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f := &folder{t: t, at: filepath.ToSlash(at), types: types}
			files, err := filepath.Glob(filepath.Join(path, "*.go"))
			if err != nil {
				return err
			}
			for _, name := range files {
				if !strings.HasSuffix(name, "_test.go") {
					file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
					if err != nil {
						return err
					}
					f.files = append(f.files, file)
				}
			}
			folders, all = append(folders, f), append(all, f.files...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range folders {
		f.all = all
		f.read()
	}
	if len(types) < 80 {
		t.Errorf("only %d types were found", len(types))
	}
	return types
}

// folder is a package whose events are looked for.
type folder struct {
	t     *testing.T
	at    string
	files []*ast.File
	all   []*ast.File // of the tree
	types map[string]string
}

// whole is what a type looks like.
var whole = regexp.MustCompile(`^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$`)

func (f *folder) read() {
	for _, file := range f.files {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || fn.Name.Name == "NewEvent" {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "NewEvent" {
						f.add(f.texts(n.Args[1], fn))
					}
				case *ast.CompositeLit:
					if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Event" && s.X.(*ast.Ident).Name == "odcm" {
						for _, e := range n.Elts {
							if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Type" {
								f.add(f.texts(kv.Value, fn))
							}
						}
					}
				}
				return true
			})
		}
	}
}

func (f *folder) add(texts []string) {
	if len(texts) == 0 {
		texts = composed[f.at]
		if texts == nil {
			f.t.Errorf("%s appends events of types that cannot be read from its source: say them in composed", f.at)
		}
	}
	for _, text := range texts {
		verbs := []string{""}
		if strings.HasSuffix(text, ".") {
			verbs = []string{"created", "changed", "deleted"}
		}
		for _, verb := range verbs {
			if whole.MatchString(text + verb) {
				f.types[text+verb] = f.at
			}
		}
	}
}

// texts are what an expression may be: a text, what its variable is given in the function, or what callers pass for it.
func (f *folder) texts(e ast.Expr, fn *ast.FuncDecl) (found []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			found = append(found, text)
		}
	case *ast.Ident:
		place := 0
		for _, field := range fn.Type.Params.List {
			for _, name := range field.Names {
				if name.Name == e.Name {
					return f.passed(fn.Name.Name, place)
				}
				place++
			}
		}
		found = f.given(e.Name, fn)
	}
	return found
}

// given are the texts that a variable of the function is given, by itself or out of a table.
func (f *folder) given(name string, fn *ast.FuncDecl) (found []string) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) {
			return true
		}
		for i := range a.Lhs {
			if id, ok := a.Lhs[i].(*ast.Ident); ok && id.Name == name {
				switch from := a.Rhs[i].(type) {
				case *ast.BasicLit:
					found = append(found, f.texts(from, fn)...)
				case *ast.IndexExpr:
					if table, ok := from.X.(*ast.Ident); ok {
						found = append(found, f.given(table.Name, fn)...)
					}
				case *ast.CompositeLit:
					for _, e := range from.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok {
							found = append(found, f.texts(kv.Value, fn)...)
						}
					}
				}
			}
		}
		return true
	})
	return found
}

// passed are the texts that are passed to a function of the package, by the whole tree if it is exported.
func (f *folder) passed(name string, place int) (found []string) {
	files := f.files
	if ast.IsExported(name) {
		files = f.all
	}
	for _, file := range files {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok && len(c.Args) > place {
					switch called := c.Fun.(type) {
					case *ast.Ident:
						if called.Name == name {
							found = append(found, f.texts(c.Args[place], fn)...)
						}
					case *ast.SelectorExpr:
						if called.Sel.Name == name {
							found = append(found, f.texts(c.Args[place], fn)...)
						}
					}
				}
				return true
			})
		}
	}
	return found
}
