package main

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) lrFind() *cli.Command {
	return command(&cli.Command{
		Name:  "lr-find",
		Usage: "sweep the learning rate and suggest one",
		Description: `Trains the recipe's model from scratch while the learning rate rises
exponentially, until the loss explodes, and suggests the rate at which the
smoothed loss fell fastest, and a tenth of the rate at which it was lowest.
Nothing is left but a picture and a table in --out.

  ortrain lr-find --data mnist --model resnet8
  ortrain lr-find --recipe my.yaml --min 1e-5 --max 3 --steps 300 --out lr`,
		Flags: append(append(recipeFlags(),
			&cli.Float64Flag{Name: "min", Usage: "first learning `RATE` (default 1e-6)"},
			&cli.Float64Flag{Name: "max", Usage: "last learning `RATE` (default 10)"},
			&cli.IntFlag{Name: "steps", Usage: "`N` training steps of the sweep (default 200)"},
			&cli.StringFlag{Name: "out", Usage: "folder `DIR` for picture and table (default lr-find)"},
			jsonFlag(),
		), executionFlags()...),
		Action: e.runLRFind,
	})
}

func (e *environment) runLRFind(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	for _, name := range []string{"min", "max"} {
		if c.IsSet(name) && !(c.Float64(name) > 0) {
			return &usageError{"lr-find", fmt.Sprintf("--%s %v: give a rate above 0", name, c.Float64(name))}
		}
	}
	if c.IsSet("steps") && c.Int("steps") < 20 {
		return &usageError{"lr-find", fmt.Sprintf("--steps %d: give at least 20", c.Int("steps"))}
	}
	r, err := recipeOf(c)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		out = "lr-find"
	}
	bar := newProgress(e.err)
	done := 0
	found, err := job.FindLR(c.Context, job.LRFindConfig{
		Recipe: r, Min: c.Float64("min"), Max: c.Float64("max"), Steps: c.Int("steps"), Out: out, Library: c.String("library"),
		Progress: func(s job.Sweep, total int) {
			done++
			bar.sweeping(s, done, total)
		},
	})
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(found)
	}
	e.printLRFind(found, out)
	return nil
}

// sweeping redraws the line of a range test.
func (p *progress) sweeping(s job.Sweep, done, total int) {
	if now := p.now(); p.out.live && (now.Sub(p.last) >= redraw || done == total) {
		p.last = now
		p.draw([]string{"lr " + rate(s.LR), p.bar(done, total, 24), fmt.Sprintf("%s/%s steps", count(done), count(total)), fmt.Sprintf("loss %.4f", s.Smooth)})
	}
}

// sweepRows is the number of rows that a sweep is summed up in.
const sweepRows = 16

func (e *environment) printLRFind(f *job.LRFind, out string) {
	var rows [][]string
	last := len(f.Sweep) - 1
	for i := range min(sweepRows, len(f.Sweep)) {
		step := i * last / max(1, min(sweepRows, len(f.Sweep))-1)
		s := f.Sweep[step]
		rows = append(rows, []string{count(step), rate(s.LR), strconv.FormatFloat(s.Smooth, 'f', 4, 64)})
	}
	e.out.table([]string{">step", ">lr", ">smoothed loss"}, rows)
	if f.Diverged {
		e.out.printf("the loss exploded after %s\n", plural(len(f.Sweep), "step"))
	}
	if f.Steepest == 0 {
		e.out.println("the loss never fell: sweep other rates (--min, --max) or more slowly (--steps)")
	} else {
		e.out.printf("%s  --lr %s\n", e.out.bold("where the loss falls fastest  "), e.out.green(rate2(f.Steepest)))
		e.out.printf("%s  --lr %s\n", e.out.bold("a tenth of where it is lowest "), e.out.green(rate2(f.TenthOfLowest)))
	}
	for _, name := range []string{job.LRFindPicture, job.LRFindTable} {
		e.out.println("  " + filepath.Join(out, name))
	}
}

// rate2 writes a suggestion: its third digit would claim too much.
func rate2(lr float64) string { return strconv.FormatFloat(lr, 'g', 2, 64) }
