package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/artifact/guide"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func (e *environment) artifacts() *cli.Command {
	return command(&cli.Command{
		Name:  "artifacts",
		Usage: "write the training graphs alone, for other programs to train with",
		Description: `Writes step.onnx, eval.onnx, infer.onnx and manifest.json with ` + guide.Document + `,
which explains them, and a Python and a Node script that train a few steps with
nothing but the stock ONNX Runtime. No image is read. The step runs on any
processor; --native arranges it for this one, as training itself does.

  ortrain artifacts --model resnet8 --classes 5 --input 3x64x64 --batch 32 --out step
  ortrain artifacts --recipe recipe.yaml --out step`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "recipe", Usage: "YAML `FILE` that describes the training"},
			&cli.StringSliceFlag{Name: "set", Usage: "set a recipe `KEY=VALUE`, such as optimizer.name=adamw; repeatable"},
			&cli.StringFlag{Name: "data", Usage: "data set `NAME` whose classes and size are meant (default " + recipe.Default().Data.Name + ")"},
			&cli.StringFlag{Name: "model", Usage: "network `NAME`, see ortrain list models" + usual(recipe.Default().Model.Name)},
			&cli.IntFlag{Name: "batch", Usage: "`N` images of a training step" + usual(recipe.Default().Batch)},
			&cli.Float64Flag{Name: "lr", Usage: "base learning `RATE`, the manifest's default" + usual(recipe.Default().Schedule.LR)},
			&cli.Uint64Flag{Name: "seed", Usage: "`N` that determines the initial parameters" + usual(recipe.Default().Seed)},
			&cli.IntFlag{Name: "classes", Usage: "`N` classes instead of the data set's"},
			&cli.StringFlag{Name: "input", Usage: "image size `CxHxW` instead of the data set's"},
			&cli.StringFlag{Name: "out", Usage: "folder `DIR` to write, which must not hold such files yet"},
			&cli.BoolFlag{Name: "native", Usage: "arrange the step for this machine's processor: faster, and runs only on its like"},
			libraryFlag(), jsonFlag(),
		},
		Action: e.runArtifacts,
	})
}

func (e *environment) runArtifacts(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	config := job.ArtifactsConfig{Classes: c.Int("classes"), Out: c.String("out"), Native: c.Bool("native"), Library: c.String("library")}
	if config.Out == "" {
		return &usageError{"artifacts", "give the folder to write with --out DIR"}
	}
	if c.IsSet("classes") && config.Classes < 2 {
		return &usageError{"artifacts", fmt.Sprintf("--classes %d: give at least 2", config.Classes)}
	}
	var err error
	if c.IsSet("input") {
		if config.Input, err = imageSize(c.String("input")); err != nil {
			return &usageError{"artifacts", "--input: " + err.Error()}
		}
	}
	if config.Recipe, err = recipeOf(c); err != nil {
		return err
	}
	m, err := job.Artifacts(config)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(m)
	}
	where := "any processor"
	if m.Block != 0 {
		where = fmt.Sprintf("processors with blocks of %d channels", m.Block)
	}
	e.out.printf("%s  %s, %s parameters, a step on %d images, for %s\n", e.out.bold(config.Out), m.Model.Name, count(m.ParamCount()), m.Batch, where)
	e.out.printf("  read %s; then: python %s\n", filepath.Join(config.Out, guide.Document), filepath.Join(config.Out, guide.Python))
	return nil
}
