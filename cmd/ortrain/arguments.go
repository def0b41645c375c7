package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// usageError is a mistake in the command line itself.
type usageError struct{ command, problem string }

func (e *usageError) Error() string {
	see := "ortrain --help"
	if e.command != "" {
		see = "ortrain " + e.command + " --help"
	}
	return e.problem + " (see " + see + ")"
}

// arrange checks commands and flag names, suggesting the nearest valid ones,
// and moves flags before the other arguments, so that both may come in any
// order. "--" ends the flags.
func arrange(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	name := args[1]
	switch name {
	case "-h", "--help", "-help":
		return args[:2], nil
	case "-v", "--version":
		return []string{args[0], "version"}, nil
	case "help":
		if len(args) == 2 {
			return []string{args[0], "--help"}, nil
		}
		args = []string{args[0], args[2], "--help"}
		name = args[1]
	}
	if strings.HasPrefix(name, "-") {
		return nil, &usageError{problem: fmt.Sprintf("the command comes first, before %s", name)}
	}
	var command *cli.Command
	var names []string
	for _, c := range app.Commands {
		names = append(names, c.Name)
		if c.Name == name {
			command = c
		}
	}
	if command == nil {
		return nil, &usageError{problem: fmt.Sprintf("unknown command %q%s", name, nearest.Hint(name, names))}
	}
	words := args[1:2]
	if len(command.Subcommands) > 0 {
		var err error
		if command, err = subcommand(command, args[2:]); command == nil || err != nil {
			return args[:min(len(args), 3)], err
		}
		words = args[1:3]
	}
	flags, others, err := separate(command, args[1+len(words):])
	if err != nil {
		return nil, err
	}
	arranged := append([]string{args[0]}, words...)
	arranged = append(arranged, flags...)
	return append(append(arranged, "--"), others...), nil
}

// subcommand returns the command that the first of a command's arguments
// names, or nil when they ask for help.
func subcommand(c *cli.Command, args []string) (*cli.Command, error) {
	var names []string
	for _, sub := range c.Subcommands {
		names = append(names, sub.Name)
	}
	if len(args) == 0 {
		return nil, &usageError{c.Name, c.Name + " what? one of " + strings.Join(names, ", ")}
	}
	switch args[0] {
	case "-h", "--help", "-help":
		return nil, nil
	}
	for _, sub := range c.Subcommands {
		if sub.Name == args[0] {
			return sub, nil
		}
	}
	return nil, &usageError{c.Name, fmt.Sprintf("unknown command %q%s", c.Name+" "+args[0], nearest.Hint(args[0], names))}
}

// separate splits a command's arguments into its flags, with their values,
// and the rest.
func separate(c *cli.Command, args []string) (flags, others []string, err error) {
	known := map[string]cli.Flag{"help": nil, "h": nil}
	var names []string
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			known[n] = f
			names = append(names, "--"+n)
		}
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return flags, append(others, args[i+1:]...), nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			others = append(others, arg)
			continue
		}
		name, _, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		f, ok := known[name]
		if !ok {
			hint := nearest.Hint("--"+name, names)
			if len(names) > 6 && strings.HasPrefix(hint, "; valid:") {
				hint = ""
			}
			return nil, nil, &usageError{fullName(c), fmt.Sprintf("unknown flag --%s%s", name, hint)}
		}
		if isResume(f) && !valued {
			if i+1 < len(args) && args[i+1] == resumeAuto {
				i++
				arg += "=" + resumeAuto
			}
			flags = append(flags, arg)
			continue
		}
		flags = append(flags, arg)
		if _, isBool := f.(*cli.BoolFlag); isBool || f == nil || valued {
			continue
		}
		if i+1 == len(args) || strings.HasPrefix(args[i+1], "--") {
			return nil, nil, &usageError{fullName(c), fmt.Sprintf("--%s needs a value", name)}
		}
		i++
		flags = append(flags, args[i])
	}
	return flags, others, nil
}

// fullName is what follows "ortrain" to call a command.
func fullName(c *cli.Command) string {
	if c.Category != "" {
		return c.Category + " " + c.Name
	}
	return c.Name
}

// noArguments refuses arguments of a command that takes only flags, with a
// guess at the flag that was meant.
func noArguments(c *cli.Context) error {
	arg := c.Args().First()
	if arg == "" {
		return nil
	}
	hint := ""
	for _, f := range c.Command.Flags {
		switch n := f.Names()[0]; {
		case n == "set" && strings.Contains(arg, "="),
			n == "onnx" && strings.HasSuffix(arg, ".onnx"),
			n == "run" && !strings.HasSuffix(arg, ".onnx"):
			hint = fmt.Sprintf("; did you mean --%s %s?", n, arg)
		}
	}
	return &usageError{c.Command.Name, fmt.Sprintf("unexpected argument %q%s", arg, hint)}
}

var badValue = regexp.MustCompile(`^(?:invalid value|invalid boolean value) ("(?:[^"\\]|\\.)*") for (?:flag )?-+([\w-]+): (.*)$`)

// flagProblem rewords the flag package's complaint about a value.
func flagProblem(c *cli.Command, err error) string {
	m := badValue.FindStringSubmatch(err.Error())
	if m == nil {
		return oneLine(err.Error())
	}
	if strings.Contains(m[3], "out of range") {
		return fmt.Sprintf("--%s %s is out of range", m[2], m[1])
	}
	takes := "another kind of value"
	for _, f := range c.Flags {
		if f.Names()[0] != m[2] {
			continue
		}
		switch f.(type) {
		case *cli.IntFlag:
			takes = "a whole number"
		case *cli.Uint64Flag:
			takes = "a whole number from 0 on"
		case *cli.Float64Flag:
			takes = "a number"
		case *cli.DurationFlag:
			takes = "a time such as 2ms or 10s"
		case *cli.BoolFlag:
			takes = "no value, or true or false"
		case *cli.GenericFlag:
			takes = "no value, or " + resumeAuto
		}
	}
	return fmt.Sprintf("--%s takes %s, not %s", m[2], takes, m[1])
}
