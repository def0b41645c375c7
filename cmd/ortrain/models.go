package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print the result as JSON"}
}

func (e *environment) eval() *cli.Command {
	return command(&cli.Command{
		Name:  "eval",
		Usage: "measure a run or a model on test images",
		Description: `Prints top-1 and top-5 accuracy and the mean loss. A run is measured on its own
data unless another is named; a model file needs --data.

  ortrain eval --run runs/demo
  ortrain eval --run runs/demo --provider cuda
  ortrain eval --onnx model.onnx --data cifar10 --data-dir datasets/cifar10 --json
  ortrain eval --weights resnet20.pth --model resnet20 --data cifar10`,
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run folder `DIR`"},
			&cli.StringFlag{Name: "onnx", Usage: "ONNX classifier `FILE`, of ortrain's or another's making"},
		}, append(append(weightsFlags(), dataFlags(false)...), checkpointFlag(),
			&cli.IntFlag{Name: "batch", Usage: "`N` images at a time (default 256)"},
			&cli.IntFlag{Name: "limit", Usage: "measure on the first `N` images (default: all)"},
			jsonFlag(),
		)...), executionFlags()...),
		Action: e.runEval,
	})
}

func (e *environment) runEval(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	var sources []string
	for _, name := range []string{"run", "onnx", "weights"} {
		if c.IsSet(name) {
			sources = append(sources, name)
		}
	}
	switch {
	case len(sources) > 1:
		return &usageError{"eval", fmt.Sprintf("--%s and --%s exclude each other", sources[0], sources[1])}
	case len(sources) == 0:
		return &usageError{"eval", "nothing to measure: give --run DIR, --onnx FILE or --weights FILE"}
	case sources[0] != "run" && !c.IsSet("data"):
		return &usageError{"eval", "--" + sources[0] + " needs the images to measure on: give --data NAME"}
	}
	if c.IsSet("checkpoint") && sources[0] != "run" {
		return &usageError{"eval", "--checkpoint is one of a run: give the run with --run DIR"}
	}
	w, mean, std, err := weightsOf(c)
	if err != nil {
		return err
	}
	for _, name := range []string{"batch", "limit"} {
		if c.IsSet(name) && c.Int(name) < 1 {
			return &usageError{"eval", fmt.Sprintf("--%s %d: give at least 1 image", name, c.Int(name))}
		}
	}
	name, dir, err := data.Detect(c.String("data"))
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if c.IsSet("data-dir") {
		dir = c.String("data-dir")
	}
	execution, err := executionOf(c)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	r, err := job.Evaluate(c.Context, job.EvalConfig{
		Run: c.String("run"), Checkpoint: c.String("checkpoint"), ONNX: c.String("onnx"), Weights: w,
		Data: recipe.Data{Name: name, Dir: dir, Size: c.Int("size"), TestFiles: splitNames(c.StringSlice("test-files")),
			Mean: mean, Std: std},
		Batch: c.Int("batch"), Limit: c.Int("limit"), Execution: execution,
		Progress: bar.Evaluating, Note: bar.Note,
	})
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(r)
	}
	e.out.printf("%s on %s: %s in %s\n", r.Model, r.Dataset, plural(r.Images, "image"), duration(r.Seconds))
	e.out.printf("  top-1  %9s\n  top-5  %9s\n  loss   %9.4f\n", percent(r.Top1, 2), percent(r.Top5, 2), r.Loss)
	return nil
}
