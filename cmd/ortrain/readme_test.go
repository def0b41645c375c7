package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/tricks"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the README")

const readme = "../../README.md"

// TestReadme: the README claims nothing that is not there. Its table may lag
// behind what is registered until make readme writes it anew; its library
// example is the one that compiles.
func TestReadme(t *testing.T) {
	text := string(read(t, readme))
	there := whatThereIs()
	want := replacePart(t, text, "example", libraryExample(t))
	if *update {
		want = replacePart(t, want, "what", there)
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != text {
		t.Error("the README's example is not that of package job; run: make readme")
	}
	_, table, _ := strings.Cut(text, "<!-- what: ")
	table, _, _ = strings.Cut(table, "<!-- end -->")
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(table, -1) {
		if !strings.Contains(there, m[0]) {
			t.Errorf("the README names %s, which there is not; run: make readme", m[1])
		}
	}
}

// replacePart puts content between the marks of a part.
func replacePart(t *testing.T, text, name, content string) string {
	t.Helper()
	mark := regexp.MustCompile(`(?s)(<!-- ` + name + `: [^>]* -->\n).*?(<!-- end -->)`)
	if !mark.MatchString(text) {
		t.Fatalf("the README has no part %q", name)
	}
	return mark.ReplaceAllStringFunc(text, func(old string) string {
		m := mark.FindStringSubmatch(old)
		return m[1] + content + m[2]
	})
}

// whatThereIs is a table of everything that is registered.
func whatThereIs() string {
	var b strings.Builder
	row := func(what, list string, names []string) {
		if len(names) == 0 {
			return
		}
		for i, n := range names {
			names[i] = "`" + n + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", what, strings.Join(names, ", "), list)
	}
	b.WriteString("| | | more with |\n| --- | --- | --- |\n")
	row("networks", "ortrain list models", slices.Clone(models.Names()))
	row("optimizers", "ortrain list optimizers", slices.Clone(optimizer.Names()))
	for _, k := range []struct {
		what string
		kind tricks.Kind
	}{
		{"learning-rate schedules", tricks.Schedule}, {"warm-ups", tricks.Warmup}, {"sampling of images", tricks.Sampling}, {"augmentation of an image", tricks.Pixel},
		{"mixing of images", tricks.Batch}, {"shaping of targets", tricks.Target}, {"regularisation", tricks.Regularisation},
		{"stopping rules", tricks.Stopping},
	} {
		var names []string
		for _, t := range tricks.All(k.kind) {
			names = append(names, t.Name)
		}
		list := "ortrain tricks NAME"
		row(k.what, list, names)
	}
	row("data sets", "ortrain list datasets", slices.Clone(data.Names()))
	return b.String()
}

// libraryExample is the body of the example in package job.
func libraryExample(t *testing.T) string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "../../runtime/job/example_test.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "Example" {
			continue
		}
		var b strings.Builder
		if err := format.Node(&b, files, fn.Body.List); err != nil {
			t.Fatal(err)
		}
		return "```go\n" + strings.TrimSpace(b.String()) + "\n```\n"
	}
	t.Fatal("there is no Example")
	return ""
}
