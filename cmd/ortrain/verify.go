package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func (e *environment) verify() *cli.Command {
	return command(&cli.Command{
		Name:      "verify",
		Usage:     "check an exported model against the run it comes from",
		ArgsUsage: "FILE",
		Description: `Runs the file on held-out images and compares its answers with those of the
run's evaluation graph: those of a float32 model must be the same within 1e-4 of
the largest logit; of float16 and int8 the differences and the share of images
with the same most likely class are told. An independent ONNX reader checks the
structure. Size, parameters and latency are printed. A file that fails gives
exit code 1. With --provider cuda both run there, in float32; with --cuda tf32=true
in TF32, of which the differences are only told.

  ortrain verify digits.onnx
  ortrain verify digits-int8.onnx --run runs/demo --min-agreement 0.98 --json`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run folder `DIR` (default: the one that the file names)"},
			checkpointFlag(),
			&cli.IntFlag{Name: "images", Usage: "compare on `N` held-out images (default 256)"},
			&cli.Float64Flag{Name: "min-agreement", Usage: "fail unless this `SHARE` of the images gets the run's class"},
		}, append(append(dataFlags(true), jsonFlag()), executionFlags()...)...),
		Action: e.runVerify,
	})
}

func (e *environment) runVerify(c *cli.Context) error {
	if c.NArg() != 1 {
		return &usageError{"verify", "give one exported model file"}
	}
	if c.IsSet("images") && c.Int("images") < 1 {
		return &usageError{"verify", fmt.Sprintf("--images %d: give at least 1", c.Int("images"))}
	}
	if a := c.Float64("min-agreement"); !(a >= 0 && a <= 1) {
		return &usageError{"verify", fmt.Sprintf("--min-agreement %v: give a share from 0 to 1", a)}
	}
	images, err := dataOf(c)
	if err != nil {
		return err
	}
	execution, err := executionOf(c)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	v, err := job.Verify(c.Context, job.VerifyConfig{
		File: c.Args().First(), Run: c.String("run"), Checkpoint: c.String("checkpoint"), Images: c.Int("images"), MinAgreement: c.Float64("min-agreement"),
		Data: images, Execution: execution, Progress: bar.Stage,
	})
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if err := e.out.json(v); err != nil {
			return err
		}
		return v.Err()
	}
	e.printVerification(v)
	return v.Err()
}

func (e *environment) printVerification(v *job.Verification) {
	e.out.printf("%s  %s, %s parameters, %s\n", e.out.bold(v.File), fileSize(v.Bytes), count(v.Parameters), v.Precision)
	if r := v.Structure; r != nil {
		e.field("structure", "ok (independent reader): %s values, %s operations, longest path %s",
			count(r.Values), count(r.Operations), count(r.Depth))
	}
	scaled := ""
	if v.Scaled {
		scaled = ", which the file scales itself"
	}
	e.field("compared", "%s with the run %s on %s%s", v.Compared, v.Run, plural(v.Images, "held-out image"), scaled)
	allowed := ""
	if v.Tolerance > 0 {
		allowed = fmt.Sprintf(", allowed is %.0e", v.Tolerance)
	}
	e.field("differences", "largest %.1e, mean %.1e (relative to the largest logit%s)", v.Largest, v.Mean, allowed)
	e.field("same class", "%s", percent(v.Agreement, 2))
	for i, l := range v.Latency {
		e.field(first(i, "latency"), "batch %d: median %s, 95 %% within %s (%d runs)", l.Batch, milliseconds(l.P50), milliseconds(l.P95), l.Runs)
	}
	verdict := e.out.green("verified")
	if v.Err() != nil {
		verdict = e.out.red("failed")
	}
	e.out.println("  " + verdict)
}

// dataOf reads the flags of dataFlags.
func dataOf(c *cli.Context) (recipe.Data, error) {
	name, dir, err := data.Detect(c.String("data"))
	if err != nil {
		return recipe.Data{}, fmt.Errorf("--data: %w", err)
	}
	if c.IsSet("data-dir") {
		dir = c.String("data-dir")
	}
	return recipe.Data{Name: name, Dir: dir, Size: c.Int("size"),
		TrainFiles: splitNames(c.StringSlice("train-files")), TestFiles: splitNames(c.StringSlice("test-files"))}, nil
}
