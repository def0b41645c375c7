package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) preview() *cli.Command {
	return command(&cli.Command{
		Name:  "preview",
		Usage: "draw training batches, or what every pixel trick does",
		Description: `Draws a contact sheet of a recipe's first training batches, just as the network
gets them (augmented and mixed), with the soft targets under each image.
--tricks instead draws every pixel trick over its magnitudes, on one image.

  ortrain preview --recipe my.yaml --out batches.png --batches 3
  ortrain preview --data cifar10 --set mix=[mixup,cutmix] --out batches.png
  ortrain preview --data cifar10 --tricks --image 7 --out tricks.png`,
		Flags: append(recipeFlags(),
			&cli.StringFlag{Name: "out", Usage: "picture `FILE` to write, a PNG (default preview.png)"},
			&cli.IntFlag{Name: "batches", Usage: "`N` batches to show (default 1)"},
			&cli.IntFlag{Name: "images", Usage: "show at most `N` images of a batch (default 32)"},
			&cli.IntFlag{Name: "epoch", Usage: "begin with epoch `N`, from 1 on (default 1)"},
			&cli.BoolFlag{Name: "tricks", Usage: "draw every pixel trick instead"},
			&cli.IntFlag{Name: "image", Usage: "with --tricks: `N` of the training image, from 0 on (default 0)"},
			jsonFlag(),
		),
		Action: e.runPreview,
	})
}

func (e *environment) runPreview(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		out = "preview.png"
	}
	if err := pictureFile(c, out); err != nil {
		return err
	}
	for _, name := range []string{"batches", "images", "epoch"} {
		if c.IsSet(name) && c.Int(name) < 1 {
			return &usageError{"preview", fmt.Sprintf("--%s %d: give at least 1", name, c.Int(name))}
		}
		if c.IsSet(name) && c.Bool("tricks") {
			return &usageError{"preview", "--tricks shows one image, so --" + name + " says nothing; leave one of them out"}
		}
	}
	if c.IsSet("image") && !c.Bool("tricks") {
		return &usageError{"preview", "--image chooses the image of --tricks; give both or neither"}
	}
	r, err := recipeOf(c)
	if err != nil {
		return err
	}
	if c.Bool("tricks") {
		rows, err := job.TrickSheet(job.TrickSheetConfig{Recipe: r, Image: c.Int("image"), Out: out})
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return e.out.json(rows)
		}
		for _, row := range rows {
			if row.Problem != "" {
				e.err.println(row.Trick + " is not for this data: " + oneLine(row.Problem))
			}
		}
		e.out.printf("%s drawn in %s\n", plural(len(rows), "trick"), out)
		return nil
	}
	p, err := job.Preview(c.Context, job.PreviewConfig{
		Recipe: r, Out: out, Batches: c.Int("batches"), Images: c.Int("images"), Epoch: max(c.Int("epoch")-1, 0),
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(p)
	}
	for _, b := range p.Batches {
		mixed := ""
		if b.Mixed != "" {
			mixed = ", mixed by " + b.Mixed
		}
		e.out.printf("epoch %d, batch %d: %d of %s%s\n", b.Epoch+1, b.Index+1, b.Shown, plural(b.Images, "image"), mixed)
	}
	e.out.printf("drawn in %s, %d × %d pixels\n", out, p.Width, p.Height)
	return nil
}
