package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// resumeAuto is the value of --resume that picks the checkpoint by itself.
const resumeAuto = "auto"

// resumeFlag is --resume, with or without "auto" after it.
func resumeFlag() cli.Flag {
	return &cli.GenericFlag{Name: "resume", Value: new(resumeMode),
		Usage: "continue the run in --out; with `auto` from its newest whole checkpoint, or begin it where there is none"}
}

// resumeMode is "" for a new run, "true", or resumeAuto.
type resumeMode string

func (m *resumeMode) String() string { return string(*m) }

// IsBoolFlag makes the flag package take it without a value, as "true".
func (m *resumeMode) IsBoolFlag() bool { return true }

func (m *resumeMode) Set(s string) error {
	switch s {
	case "true", resumeAuto:
		*m = resumeMode(s)
	case "false":
		*m = ""
	default:
		return fmt.Errorf("%q is neither", s)
	}
	return nil
}

// checkpointFlag says which of a run's weights are meant.
func checkpointFlag() cli.Flag {
	return &cli.StringFlag{Name: "checkpoint", Usage: "use the run's checkpoint `WHICH`: best, its number of steps, or a file (default: the newest)"}
}

// isResume tells --resume, whose value is optional, from other flags.
func isResume(f cli.Flag) bool {
	g, ok := f.(*cli.GenericFlag)
	if !ok {
		return false
	}
	_, ok = g.Value.(*resumeMode)
	return ok
}
