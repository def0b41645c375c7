package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func (e *environment) schedule() *cli.Command {
	return command(&cli.Command{
		Name:  "schedule",
		Usage: "draw a recipe's learning rate",
		Description: `Prints the learning rate where something happens: at the start, where the
warm-up hands over, at peaks, valleys and jumps, at some epochs, at the end.
--out draws the whole course as a PNG. The training images are only counted;
--steps-per-epoch makes them unnecessary.

  ortrain schedule --epochs 90 --set schedule.name=multistep --steps-per-epoch 390
  ortrain schedule --recipe my.yaml --out lr.png
  ortrain schedule --run runs/demo --out lr.png`,
		Flags: append(recipeFlags(),
			&cli.IntFlag{Name: "steps-per-epoch", Usage: "`N` optimizer steps of an epoch (default: counted)"},
			&cli.StringFlag{Name: "out", Usage: "picture `FILE` to write, a PNG"},
			jsonFlag(),
		),
		Action: e.runSchedule,
	})
}

// recipeFlags are the flags that say which recipe a command looks at.
func recipeFlags() []cli.Flag {
	d := recipe.Default()
	return append([]cli.Flag{
		&cli.StringFlag{Name: "recipe", Usage: "YAML `FILE` that describes a run"},
		&cli.StringFlag{Name: "run", Usage: "run folder `DIR` whose recipe to take"},
		&cli.StringSliceFlag{Name: "set", Usage: "set a recipe `KEY=VALUE`, such as schedule.lr=0.05; repeatable"},
	}, append(dataFlags(true),
		&cli.StringFlag{Name: "model", Usage: "network `NAME` (default " + d.Model.Name + "): " + strings.Join(models.Names(), ", ")},
		&cli.IntFlag{Name: "epochs", Usage: "`N` passes over the training images" + usual(d.Epochs)},
		&cli.IntFlag{Name: "batch", Usage: "`N` images of a training step" + usual(d.Batch)},
		&cli.Float64Flag{Name: "lr", Usage: "base learning `RATE`" + usual(d.Schedule.LR)},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` that determines every random draw" + usual(d.Seed)},
		&cli.IntFlag{Name: "limit", Usage: "use at most `N` training images (default: all)"},
	)...)
}

// recipeOf makes the recipe that recipeFlags describe.
func recipeOf(c *cli.Context) (*recipe.Recipe, error) {
	file := c.String("recipe")
	if run := c.String("run"); run != "" {
		if file != "" {
			return nil, &usageError{c.Command.Name, "--recipe and --run exclude each other"}
		}
		file = filepath.Join(run, job.RecipeFile)
	}
	list, err := changes(c)
	if err != nil {
		return nil, err
	}
	r := recipe.Default()
	if file != "" {
		if r, err = recipe.Load(file); err != nil {
			return nil, err
		}
	}
	return r, apply(r, list)
}

// pictureFile refuses a name that would hide what the file is.
func pictureFile(c *cli.Context, name string) error {
	if ext := filepath.Ext(name); !strings.EqualFold(ext, ".png") {
		return &usageError{c.Command.Name, fmt.Sprintf("--out %s: the picture is a PNG; give a name that ends in .png", name)}
	}
	return nil
}

func (e *environment) runSchedule(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if out := c.String("out"); out != "" {
		if err := pictureFile(c, out); err != nil {
			return err
		}
	}
	if c.IsSet("steps-per-epoch") && c.Int("steps-per-epoch") < 1 {
		return &usageError{"schedule", fmt.Sprintf("--steps-per-epoch %d: give at least 1", c.Int("steps-per-epoch"))}
	}
	r, err := recipeOf(c)
	if err != nil {
		return err
	}
	course, err := job.Schedule(job.ScheduleConfig{Recipe: r, StepsPerEpoch: c.Int("steps-per-epoch"), Out: c.String("out")})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(course)
	}
	e.out.printf("%s, %s of %s, base rate %s\n", plural(course.Steps, "step"),
		plural(course.Steps/course.StepsPerEpoch, "epoch"), plural(course.StepsPerEpoch, "step"), rate(course.Base))
	var rows [][]string
	for _, p := range course.Points {
		rows = append(rows, []string{strconv.FormatFloat(p.Epoch, 'f', 2, 64), count(p.Step), strconv.FormatFloat(p.LR, 'g', 6, 64), p.What})
	}
	e.out.table([]string{">epoch", ">step", ">lr", ""}, rows)
	if course.Reacts {
		e.out.println("the schedule reacts to what a run measures; this is its course without any measurement")
	}
	if out := c.String("out"); out != "" {
		e.out.println("drawn in " + out)
	}
	return nil
}
