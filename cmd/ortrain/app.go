package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/artifact"
)

const (
	exitError       = 1
	exitInterrupted = 130
)

const appHelp = `ortrain trains image classifiers on a stock ONNX Runtime.

usage: ortrain COMMAND [flags] [arguments]

{{range .VisibleCommands}}  {{printf "%-9s" .Name}} {{.Usage}}
{{end}}
'ortrain COMMAND --help' explains a command and shows an example.
ortrain finds ONNX Runtime by itself after 'make setup'; ORTRAIN_ONNXRUNTIME
or --library names another one. 'ortrain doctor' tells whether all is well.
`

const commandHelp = `{{.Usage}}

usage: ortrain {{if .Category}}{{.Category}} {{end}}{{.Name}}{{if .Subcommands}} COMMAND{{end}}{{if .VisibleFlags}} [flags]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}{{if .Subcommands}}
{{range .Subcommands}}  {{printf "%-9s" .Name}} {{.Usage}}
{{end}}{{end}}{{if .VisibleFlags}}
{{range .VisibleFlags}}  {{printf "%v" .}}
{{end}}{{end}}`

// flagText is how help shows a flag: its usage names the value in backquotes
// and says the default in words.
func flagText(f cli.Flag) string {
	value, usage := "", ""
	if d, ok := f.(cli.DocGenerationFlag); ok {
		usage = d.GetUsage()
	}
	before, rest, _ := strings.Cut(usage, "`")
	if name, after, ok := strings.Cut(rest, "`"); ok {
		value, usage = " "+name, before+name+after
	}
	return "--" + f.Names()[0] + value + "\t" + usage
}

func init() { cli.FlagStringer = flagText }

// newApp builds the command line. Results go to out, progress and notes to
// err.
func newApp(out, err *stream) *cli.App {
	env := &environment{out: out, err: err}
	return &cli.App{
		Name: "ortrain", HelpName: "ortrain",
		Usage:                     "trains image classifiers on a stock ONNX Runtime",
		Version:                   artifact.Version,
		HideVersion:               true, // the command 'version' says more
		HideHelpCommand:           true,
		Writer:                    out,
		ErrWriter:                 err,
		CustomAppHelpTemplate:     appHelp,
		DisableSliceFlagSeparator: true, // --set augment=[crop, mirror]
		ExitErrHandler:            func(*cli.Context, error) {},
		Commands: []*cli.Command{
			env.train(), env.eval(), env.export(), env.predict(), env.serve(), env.web(), env.inspect(), env.runs(),
			env.verify(), env.artifacts(),
			env.preview(), env.schedule(), env.lrFind(), env.augment(), env.tune(), env.doctor(), env.data(), env.list(), env.tricks(), env.version(),
		},
	}
}

// environment is what the commands share.
type environment struct {
	out, err *stream
}

// command completes a command's definition; the arguments it takes are
// checked before it runs.
func command(c *cli.Command) *cli.Command {
	c.CustomHelpTemplate = commandHelp
	c.HideHelpCommand = true
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
		return &usageError{command: fullName(c), problem: flagProblem(c, err)}
	}
	return c
}

// run executes a command line and returns the exit code. It never panics and
// prints at most one line about what went wrong.
func run(ctx context.Context, args []string, out, err *stream) (code int) {
	defer func() {
		if p := recover(); p != nil {
			err.println(err.red("ortrain:") + " " + crash(p, debug.Stack()))
			code = exitError
		}
	}()
	app := newApp(out, err)
	arranged, problem := arrange(app, args)
	if problem == nil {
		problem = app.RunContext(ctx, arranged)
	}
	var stop *stopped
	switch {
	case problem == nil:
		return 0
	case errors.As(problem, &stop):
		err.println(stop.Error())
		return exitInterrupted
	case errors.Is(problem, context.Canceled):
		err.println("stopped")
		return exitInterrupted
	}
	for _, p := range each(problem) {
		err.println(err.red("ortrain:") + " " + oneLine(p.Error()))
	}
	return exitError
}

// each returns the errors that a command joined, each of which gets its line.
func each(problem error) []error {
	if joined, ok := problem.(interface{ Unwrap() []error }); ok && strings.Contains(problem.Error(), "\n") {
		return joined.Unwrap()
	}
	return []error{problem}
}

// stopped is the outcome of a run that the user interrupted.
type stopped struct{ line string }

func (s *stopped) Error() string { return s.line }

// crash keeps the trace of a programming mistake for a report and returns the
// line that names it.
func crash(p any, stack []byte) string {
	line := "internal error: " + oneLine(fmt.Sprint(p)) + "; please report it"
	f, err := os.CreateTemp("", "ortrain-trace-*.txt")
	if err != nil {
		return line + " (the trace could not be kept: " + oneLine(err.Error()) + ")"
	}
	defer f.Close()
	fmt.Fprintf(f, "ortrain %s\n%s\n%v\n\n%s", artifact.Version, strings.Join(os.Args, " "), p, stack)
	return line + " with the trace in " + f.Name()
}

// oneLine joins the lines of a message.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
