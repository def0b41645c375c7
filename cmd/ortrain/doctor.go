package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) doctor() *cli.Command {
	return command(&cli.Command{
		Name:  "doctor",
		Usage: "tell whether this machine can train, and what to do if not",
		Description: `Looks for ONNX Runtime, runs one training step on it and looks for the data
sets. Exits with 1 if training cannot work; a missing data set is no fault.
With --provider cuda it looks for a library with that provider, examines what
the provider needs (driver, CUDA, cuDNN, devices) and runs the step there.

  ortrain doctor
  ortrain doctor --provider cuda
  ortrain doctor --library /opt/onnxruntime/lib/libonnxruntime.so`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "data-dir", Usage: "folder `DIR` of data sets to look in (default: the usual places)"},
			jsonFlag(),
		}, executionFlags()...),
		Action: e.runDoctor,
	})
}

func (e *environment) runDoctor(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	execution, err := executionOf(c)
	if err != nil {
		return err
	}
	d := job.Diagnose(execution, c.String("data-dir"))
	if c.Bool("json") {
		if err := e.out.json(d); err != nil {
			return err
		}
		return d.Err()
	}
	if d.Library.Path != "" {
		e.mark(d.Problem == "", "ONNX Runtime %s (%s): %s", d.Library.Version, d.Library.Source, d.Library.Path)
	} else {
		e.mark(false, "no ONNX Runtime library that can be used")
	}
	for _, k := range d.Candidates {
		if k.Problem != "" {
			e.note("not usable: %s", k.Problem)
		} else if k.Path != d.Library.Path {
			e.note("also found: %s (%s, %s)", k.Path, k.Version, k.Source)
		}
	}
	if d.Library.Path != "" {
		e.note("this project is tested with %s and takes %s or newer", runtime.PinnedVersion, runtime.MinVersion)
		e.note("providers: %s", strings.Join(d.Providers, ", "))
	}
	if d.CUDA != nil {
		e.printCUDA(d.CUDA, d.Provider == lower.CUDA)
	}
	e.mark(true, "%s, %s, %s by default", d.Platform, d.CPU, plural(d.Threads, "thread"))
	switch {
	case d.KernelsProblem != "":
		e.mark(false, "%s", d.KernelsProblem)
	case d.Kernels != "":
		e.mark(true, "kernel library: %s", d.Kernels)
	default:
		e.out.printf(" -  %s\n", e.out.faint("no kernel library: training works without it; '"+runtime.KernelsTarget(execution.Provider)+"' builds one"))
	}
	e.mark(true, "JPEG files are decoded by %s", d.Decoder)
	if s := d.SelfTest; s.Run {
		if s.Problem == "" {
			e.mark(true, "a training step works: loss %.3f, %s with loading", s.Loss, duration(s.Seconds))
		} else {
			e.mark(false, "a training step fails: %s", s.Problem)
		}
	}
	e.printDataSets(d.DataSets)
	if err := d.Err(); err != nil {
		return err
	}
	e.out.println("training works here")
	return nil
}

// printCUDA prints what provider cuda needs; what is missing is a fault only
// where the provider was asked for.
func (e *environment) printCUDA(r *runtime.CUDAReport, asked bool) {
	if r.Provider != "" {
		var needs []string
		for _, l := range r.Libraries {
			if l.Problem == "" {
				needs = append(needs, strings.TrimSpace(l.Name+" "+l.Version))
			}
		}
		e.mark(len(r.Problems) == 0 || !asked, "provider cuda: %s", r.Provider)
		if len(needs) > 0 {
			e.note("found: %s", strings.Join(needs, ", "))
		}
	}
	if r.Driver != "" {
		e.note("the driver serves CUDA %s", r.Driver)
	}
	for i, d := range r.Devices {
		e.note("device %d: %s, %.1f GiB, compute capability %s", i, d.Name, float64(d.Memory)/(1<<30), d.Capability)
	}
	for _, p := range r.Problems {
		if asked {
			e.mark(false, "%s", p)
		} else {
			e.note("not usable: %s", p)
		}
	}
}

func (e *environment) printDataSets(found []job.FoundData) {
	for _, f := range found {
		if f.Problem == "" {
			e.mark(true, "data set %s: %s training and %s test images", f.Name, count(f.Train), count(f.Test))
		} else {
			e.out.printf(" -  data set %s\n", e.out.faint(f.Name+": "+strings.TrimPrefix(f.Problem, f.Name+": ")))
		}
	}
}

// mark prints a finding as good or bad.
func (e *environment) mark(good bool, format string, args ...any) {
	sign := e.out.green("ok")
	if !good {
		sign = e.out.red("!!")
	}
	e.out.printf("%s  %s\n", sign, fmt.Sprintf(format, args...))
}

func (e *environment) note(format string, args ...any) {
	e.out.printf("    %s\n", e.out.faint(fmt.Sprintf(format, args...)))
}
