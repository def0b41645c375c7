package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) runs() *cli.Command {
	return command(&cli.Command{
		Name:      "runs",
		Usage:     "list and compare the runs below a folder",
		ArgsUsage: "[DIR]",
		Description: `Lists the runs below DIR (default: runs): how far each is, what it has reached,
how fast it was, and in which keys their recipes differ. Their curves are drawn
over each other in DIR/` + job.RunsFile + `. Folders that hold no run, and damaged runs, are
listed with the reason.

  ortrain runs
  ortrain runs --sort best --out compare.png experiments
  ortrain runs --json --no-picture experiments`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "sort", Usage: "`ORDER` of the list (default name): " + strings.Join(job.RunOrders(), ", ")},
			&cli.StringFlag{Name: "out", Usage: "picture `FILE` to write, a PNG (default: " + job.RunsFile + " in DIR)"},
			&cli.BoolFlag{Name: "no-picture", Usage: "draw nothing"},
			jsonFlag(),
		},
		Action: e.runRuns,
	})
}

func (e *environment) runRuns(c *cli.Context) error {
	if c.NArg() > 1 {
		return &usageError{"runs", "give one folder"}
	}
	dir := c.Args().First()
	if dir == "" {
		dir = "runs"
	}
	cfg := job.RunsConfig{Dir: dir, Sort: c.String("sort"), Out: c.String("out")}
	switch {
	case cfg.Out != "" && c.Bool("no-picture"):
		return &usageError{"runs", "--out and --no-picture exclude each other"}
	case cfg.Out != "":
		if err := pictureFile(c, cfg.Out); err != nil {
			return err
		}
	case !c.Bool("no-picture"):
		cfg.Out = filepath.Join(dir, job.RunsFile)
	}
	list, err := job.Runs(cfg)
	if list == nil {
		return err
	}
	// A picture that cannot be drawn does not hide the list.
	if c.Bool("json") {
		if err := e.out.json(list); err != nil {
			return err
		}
		return err
	}
	rows, others := [][]string{}, [][]string{}
	for _, r := range list.Runs {
		if r.Problem != "" {
			others = append(others, []string{r.Name, r.State, r.Problem})
		}
		if r.Model != "" {
			rows = append(rows, runRow(r))
		}
	}
	if len(rows) > 0 {
		e.out.table([]string{"run", "model", "data", ">epochs", "state", ">best", ">last", ">train loss", ">images/s", ">time", ">seed", "differs in"}, rows)
	}
	if len(others) > 0 {
		e.out.println("")
		e.out.table([]string{"folder", "state", "reason"}, others)
	}
	if list.Picture != "" {
		e.out.println("")
		e.out.printf("%s drawn in %s\n", plural(list.Drawn, "run"), list.Picture)
	}
	return err
}

// runRow is a run's line in the table.
func runRow(r job.RunSummary) []string {
	best := figure(r.Best, 100, 2, " %")
	if r.BestEpoch > 0 {
		best += fmt.Sprintf(" (%d)", r.BestEpoch)
	}
	seconds := "–"
	if r.Seconds > 0 {
		seconds = duration(r.Seconds)
	}
	var differs []string
	for _, key := range slices.Sorted(maps.Keys(r.Differs)) {
		differs = append(differs, key+"="+r.Differs[key])
	}
	return []string{r.Name, r.Model, r.Data, fmt.Sprintf("%d/%d", r.Epochs, r.Planned), r.State, best, figure(r.Last, 100, 2, " %"),
		lossOf(r.TrainLoss), figure(r.ImagesPerSecond, 1, 0, ""), seconds, strconv.FormatUint(r.Seed, 10), strings.Join(differs, " ")}
}

func lossOf(v *float64) string {
	if v == nil {
		return "–"
	}
	return loss(*v)
}

// figure writes a number that may not be known.
func figure(v *float64, times float64, decimals int, unit string) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatFloat(times**v, 'f', decimals, 64) + unit
}
