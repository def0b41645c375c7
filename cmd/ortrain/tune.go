package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) tune() *cli.Command {
	return command(&cli.Command{
		Name:  "tune",
		Usage: "time the forms of a recipe's operators on this machine",
		Description: `A training step can be written in several ways, which compute the same.
Which one is fast depends on the machine. This times, for every distinct
operator of the recipe's step, the forms that apply, and keeps the result in
the user's cache for later runs with the same library and number of threads;
they then take what was fastest. Without it a rule chooses. Takes seconds for a
small network and a minute for a large one; nothing else should run meanwhile.
A run that is resumed after tuning goes on in other forms, whose results differ
from the former ones in the last digits.

  ortrain tune --data cifar10 --data-dir DIR --model resnet20
  ortrain tune --recipe my.yaml --threads 4
  ortrain tune --recipe my.yaml --provider cuda`,
		Flags: append(append(recipeFlags(), jsonFlag(),
			&cli.BoolFlag{Name: "missing", Usage: "leave out what was timed before, to go on after an interruption"}), executionFlags()...),
		Action: e.runTune,
	})
}

func (e *environment) runTune(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	r, err := recipeOf(c)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	rows, err := job.Tune(c.Context, job.TuneConfig{Recipe: r, Library: c.String("library"), Missing: c.Bool("missing"), Progress: bar.tuning})
	bar.close()
	if errors.Is(err, context.Canceled) && len(rows) > 0 {
		return &stopped{"stopped; " + plural(len(rows), "operator") + " timed and kept: continue with the same command and --missing"}
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(rows)
	}
	return e.printTuned(rows)
}

// tuning redraws the line of the operators that are done.
func (p *progress) tuning(done, total int) {
	if now := p.now(); p.out.live && (now.Sub(p.last) >= redraw || done == total) {
		p.last = now
		p.draw([]string{"timing", p.bar(done, total, 24), fmt.Sprintf("%d/%d operators", done, total)})
	}
}

func (e *environment) printTuned(rows []job.Tuned) error {
	var table [][]string
	var rule, best float64
	better := 0
	for _, r := range rows {
		n := float64(r.Times)
		rule += n * r.Seconds[r.Rule]
		best += n * r.Seconds[r.Best]
		chosen := r.Best
		if r.Best != r.Rule {
			chosen = e.out.green(r.Best)
			better++
		}
		table = append(table, []string{r.Operator, strings.Join(r.Shapes[:min(2, len(r.Shapes))], " "), count(r.Times),
			r.Rule, inMilliseconds(r.Seconds[r.Rule]), chosen, inMilliseconds(r.Seconds[r.Best])})
	}
	e.out.table([]string{"operator", "inputs", ">times", "by rule", ">ms", "taken", ">ms"}, table)
	file, err := job.TuningFile()
	if err != nil {
		return err
	}
	e.out.printf("%d of %s are faster in another form; their time in a step goes from %s to %s ms\n",
		better, plural(len(rows), "operator"), inMilliseconds(rule), inMilliseconds(best))
	e.out.println("kept in " + file)
	return nil
}

func inMilliseconds(s float64) string { return fmt.Sprintf("%.3g", 1000*s) }
