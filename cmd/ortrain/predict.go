package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) predict() *cli.Command {
	return command(&cli.Command{
		Name:      "predict",
		Usage:     "classify image files",
		ArgsUsage: "IMAGE…",
		Description: `Prints the most likely classes of each image with their probabilities. Images
are scaled to the model's input and normalised as its metadata says; for a
model of another maker, which does not say, flags do. A file that is no sound
image gets a line of its own, the others are classified.

  ortrain predict --onnx runs/demo/model.onnx seven.png
  ortrain predict --onnx resnet50.onnx --mean 0.485,0.456,0.406 \
    --std 0.229,0.224,0.225 --resize 256 --class-names imagenet.txt cat.jpg`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "onnx", Usage: "ONNX classifier `FILE`"},
			&cli.IntFlag{Name: "top", Usage: "`N` classes an image (default 5)"},
		}, append(append(declareFlags(), jsonFlag()), executionFlags()...)...),
		Action: e.runPredict,
	})
}

func (e *environment) runPredict(c *cli.Context) error {
	if c.String("onnx") == "" {
		return &usageError{"predict", "give the model with --onnx FILE"}
	}
	if c.NArg() == 0 {
		return &usageError{"predict", "give one or more image files to classify"}
	}
	if c.IsSet("top") && c.Int("top") < 1 {
		return &usageError{"predict", fmt.Sprintf("--top %d: give at least 1 class", c.Int("top"))}
	}
	declared, err := declaredInfo(c)
	if err != nil {
		return err
	}
	execution, err := executionOf(c)
	if err != nil {
		return err
	}
	answers, bad := job.Predict(c.Context, job.PredictConfig{
		ONNX: c.String("onnx"), Images: c.Args().Slice(), TopK: c.Int("top"), Declared: declared,
		Execution: execution,
	})
	if answers == nil && bad != nil {
		return declareHint(bad)
	}
	if c.Bool("json") {
		return errors.Join(e.out.json(answers), bad)
	}
	for _, a := range answers {
		e.out.println(e.out.bold(a.File))
		for _, k := range a.Classes {
			e.out.printf("  %8s  %s\n", percent(k.Probability, 2), k.Name)
		}
	}
	return bad
}
