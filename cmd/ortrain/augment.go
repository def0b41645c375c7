package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/search"
)

// searchNumbers are the flags of numbers that are at least 1.
var searchNumbers = []string{"folds", "candidates", "sub-policies", "steps", "top", "draws", "images"}

func (e *environment) augment() *cli.Command {
	return command(&cli.Command{
		Name:      "augment",
		Usage:     "search an augmentation policy for your own images",
		ArgsUsage: "search",
		Description: `Trains a child network on part of the training images and looks for policies
that change the others in ways that the child still recognises, fold by fold
(Fast AutoAugment). Writes a policy file, a table and a picture. Ctrl-C keeps
what is done; --resume goes on with the same flags, to the same policy.

  ortrain augment search --data cifar10 --model wrn10_1 --out mine.yaml
  ortrain train --set 'augment=[{name: autoaugment, policy: mine.yaml}, crop]'`,
		Flags: append(append(recipeFlags(),
			&cli.StringFlag{Name: "out", Usage: "policy `FILE` to write, ending in .yaml (default policy.yaml); the picture lies beside it"},
			&cli.BoolFlag{Name: "resume", Usage: "continue the search of --out, by the same flags"},
			&cli.IntFlag{Name: "folds", Usage: "cut the training images into `N` folds (default 5)"},
			&cli.IntFlag{Name: "candidates", Usage: "try `N` policies in each fold (default 200)"},
			&cli.IntFlag{Name: "sub-policies", Usage: "of `N` sub-policies each (default 5)"},
			&cli.IntFlag{Name: "steps", Usage: "of `N` operations each (default 2)"},
			&cli.IntFlag{Name: "top", Usage: "merge the `N` best policies of each fold (default 10)"},
			&cli.IntFlag{Name: "draws", Usage: "augment each held-out image `N` times and count its best answer (default 5)"},
			&cli.IntFlag{Name: "images", Usage: "judge by at most `N` images of each fold (default: all)"},
			&cli.StringFlag{Name: "objective", Usage: "judge by `loss` or by accuracy (default loss)"},
			jsonFlag(),
		), executionFlags()...),
		Action: e.runAugment,
	})
}

func (e *environment) runAugment(c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() != "search" {
		return &usageError{"augment", "say what to do: ortrain augment search"}
	}
	for _, name := range searchNumbers {
		if c.IsSet(name) && c.Int(name) < 1 {
			return &usageError{"augment", fmt.Sprintf("--%s %d: give at least 1", name, c.Int(name))}
		}
	}
	r, err := recipeOf(c)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		out = "policy.yaml"
	}
	bar := newProgress(e.err)
	res, err := job.Search(c.Context, job.SearchConfig{
		Recipe: r, Out: out, Resume: c.Bool("resume"), Folds: c.Int("folds"), Candidates: c.Int("candidates"),
		SubPolicies: c.Int("sub-policies"), Steps: c.Int("steps"), Top: c.Int("top"), Draws: c.Int("draws"), Images: c.Int("images"),
		Objective: c.String("objective"), Library: c.String("library"), Reporter: bar, Progress: bar.searching,
	})
	bar.close()
	switch {
	case errors.Is(err, context.Canceled):
		return &stopped{"stopped; continue with the same command and --resume"}
	case err != nil:
		return err
	case c.Bool("json"):
		return e.out.json(res)
	}
	e.printSearch(res)
	return nil
}

// searching shows how a search goes.
func (p *progress) searching(s job.SearchProgress) {
	now := p.now()
	parts := []string{fmt.Sprintf("fold %d/%d", s.Fold+1, s.Folds), fmt.Sprintf("%s/%s policies", count(s.Done), count(s.Candidates)),
		fmt.Sprintf("best %.4f", s.Best), fmt.Sprintf("without %.4f", s.Plain), clock(s.Left) + " left in the fold"}
	switch {
	case s.Done == s.Candidates || !p.out.live && now.Sub(p.last) >= logEvery:
		text := parts[0]
		for _, part := range parts[1:] {
			text += "  " + part
		}
		p.line(text)
	case p.out.live && now.Sub(p.last) >= redraw:
		p.draw(append(parts[:1:1], append([]string{p.bar(s.Done, s.Candidates, 24)}, parts[1:]...)...))
	default:
		return
	}
	p.last = now
}

func (e *environment) printSearch(r *job.SearchResult) {
	var rows [][]string
	steps := 0
	for _, sub := range r.Policy {
		steps = max(steps, len(sub))
	}
	for i, sub := range r.Policy {
		row := []string{strconv.Itoa(i + 1)}
		for k := range steps {
			text := ""
			if k < len(sub) {
				text = search.SpellStep(sub[k])
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	header := []string{">sub-policy"}
	for k := range steps {
		header = append(header, fmt.Sprintf("step %d: operation, probability, magnitude", k+1))
	}
	e.out.table(header, rows)
	for i, f := range r.Folds {
		e.out.printf("fold %d: loss %.4f, accuracy %s without a policy; %.4f, %s with the best\n",
			i+1, f.Plain.Loss, percent(f.Plain.Accuracy, 2), f.Top[0].Loss, percent(f.Top[0].Accuracy, 2))
	}
	e.out.printf("%s in %s\n", count(len(r.Policy))+" sub-policies", duration(r.Seconds))
	e.out.printf("  %s  %s\n", r.Out, e.out.faint("the policy: --set 'augment=[{name: autoaugment, policy: "+r.Out+"}, …]'"))
	e.out.printf("  %s  %s\n", r.Picture, e.out.faint("what its sub-policies do"))
}
