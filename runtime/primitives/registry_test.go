package primitives

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/reference"
)

// declaredKinds reads the operator kinds out of the source of package ir: what
// its Kind methods return, and its constants of type BinaryKind, UnaryKind and UnaryGradKind.
func declaredKinds(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../graphs/ir/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of package ir: %v", err)
	}
	var kinds []string
	literal := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, s)
		}
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if matched, _ := filepath.Match("*_test.go", filepath.Base(path)); matched {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "Kind" && n.Recv != nil {
					if r, ok := n.Body.List[0].(*ast.ReturnStmt); ok {
						literal(r.Results[0])
					}
				}
			case *ast.ValueSpec:
				if id, ok := n.Type.(*ast.Ident); ok && (slices.Contains([]string{"BinaryKind", "UnaryKind", "UnaryGradKind"}, id.Name)) {
					literal(n.Values[0])
				}
			}
			return true
		})
	}
	slices.Sort(kinds)
	return kinds
}

// TestEveryOperatorIsCovered: an operator of package ir has a reference, a
// lowering and cases here; nothing else does.
func TestEveryOperatorIsCovered(t *testing.T) {
	declared := declaredKinds(t)
	if len(declared) < 30 {
		t.Fatalf("found only %v", declared)
	}
	var tested []string
	for kind := range allCases() {
		tested = append(tested, kind)
	}
	for what, have := range map[string][]string{
		"reference": reference.Kinds(), "lowering": lower.Kinds(), "cases in this package": tested,
	} {
		for _, kind := range declared {
			if !slices.Contains(have, kind) {
				t.Errorf("operator %s has no %s", kind, what)
			}
		}
		for _, kind := range have {
			if !slices.Contains(declared, kind) {
				t.Errorf("%s of operator %s, which package ir does not declare", what, kind)
			}
		}
	}
}

// checkTidy reports what a lowering left behind: nodes and initializers that
// nothing reads, a name that two nodes write, or one that is read before it is
// written, which the format forbids though ONNX Runtime puts up with it.
func checkTidy(t testing.TB, m *onnx.ModelProto) {
	t.Helper()
	g := m.GetGraph()
	read, written := map[string]bool{}, map[string]bool{}
	for _, v := range g.Input {
		written[v.Name] = true
	}
	for _, v := range g.Initializer {
		written[v.Name] = true
	}
	for _, o := range g.Output {
		read[o.Name] = true
	}
	for _, n := range g.Node {
		for _, name := range n.Input {
			read[name] = true
			if name != "" && !written[name] {
				t.Errorf("node %s (%s) reads %s before it is written", n.Name, n.OpType, name)
			}
		}
		for _, name := range n.Output {
			if name != "" && written[name] {
				t.Errorf("%s is written twice", name)
			}
			written[name] = true
		}
	}
	for _, n := range g.Node {
		if strings.HasPrefix(n.Output[0], surround) {
			continue // a form need not read all that its operator is given
		}
		if !slices.ContainsFunc(n.Output, func(name string) bool { return read[name] }) {
			t.Errorf("nothing reads node %s (%s)", n.Name, n.OpType)
		}
	}
	for _, i := range g.Initializer {
		if !read[i.Name] {
			t.Errorf("nothing reads initializer %s", i.Name)
		}
	}
}
