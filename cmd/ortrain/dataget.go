package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/fetch"
)

func (e *environment) dataGet() *cli.Command {
	return command(&cli.Command{
		Name:      "get",
		Category:  "data",
		Usage:     "download a public data set",
		ArgsUsage: strings.Join(fetch.Names(), "|"),
		Description: `Downloads from the set's official address into a folder in which ortrain looks
for data sets: $` + data.FolderVariable + ` if it is set, otherwise ./datasets. What broke off is
resumed, and the published checksum is verified. Without a network it says how
to place the files by hand.

  ortrain data get cifar10
  ortrain train --data cifar10`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "make the set's folder in `DIR`"},
			&cli.StringFlag{Name: "mirror", Usage: "`URL` of a folder that holds the files, instead of the official address (also " + fetch.MirrorVariable + ")"},
			&cli.IntFlag{Name: "patience", Usage: "`N` seconds for which a server may send nothing (default 30)"},
			jsonFlag(),
		},
		Action: e.runDataGet,
	})
}

func (e *environment) runDataGet(c *cli.Context) error {
	if c.NArg() != 1 {
		return &usageError{"data get", "get which data set? one of " + strings.Join(fetch.Names(), ", ")}
	}
	set, err := fetch.Lookup(c.Args().First())
	if err != nil {
		return err
	}
	if c.IsSet("patience") && c.Int("patience") < 1 {
		return &usageError{"data get", fmt.Sprintf("--patience %d: give at least 1 second", c.Int("patience"))}
	}
	o := fetch.Options{Root: c.String("dir"), Mirror: c.String("mirror"), Stall: time.Duration(c.Int("patience")) * time.Second}
	if o.Root == "" {
		o.Root = os.Getenv(data.FolderVariable)
	}
	if o.Root == "" {
		o.Root = "datasets"
	}
	if o.Mirror == "" {
		o.Mirror = os.Getenv(fetch.MirrorVariable)
	}
	train := "--data " + strings.TrimSuffix(strings.TrimSuffix(set.Name, "-320"), "-full")
	if c.IsSet("dir") {
		train += " --data-dir " + shellWord(filepath.Join(o.Root, set.Folder))
	}
	bar := newProgress(e.err)
	o.Progress = bar.receiving(time.Now())
	o.Note = func(line string) { bar.line(oneLine(line)) }
	dir, there, err := fetch.Get(c.Context, set, o)
	bar.close()
	if errors.Is(err, context.Canceled) {
		return &stopped{"stopped; what has arrived is kept: run the same command again to go on"}
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(map[string]any{"name": set.Name, "folder": dir, "was_there": there})
	}
	if there {
		e.out.printf("%s is there already, in %s\n", set.Name, dir)
		return nil
	}
	e.out.printf("%s is in %s; train with: ortrain train %s\n", set.Name, dir, train)
	return nil
}

// receiving returns a function that redraws the line of a download.
func (p *progress) receiving(begun time.Time) func(file string, done, total int64) {
	first, name := int64(0), ""
	return func(file string, done, total int64) {
		if file != name {
			first, name, begun = done, file, p.now()
		}
		now := p.now()
		if !p.out.live || now.Sub(p.last) < redraw && done != total {
			return
		}
		p.last = now
		parts := []string{file}
		amount := fileSize(done)
		if total > 0 {
			parts = append(parts, p.bar(int(done>>10), int(total>>10), 24))
			amount += " of " + fileSize(total)
		}
		parts = append(parts, amount)
		if seconds := now.Sub(begun).Seconds(); seconds > 0.5 {
			rate := float64(done-first) / seconds
			parts = append(parts, fileSize(int64(rate))+"/s")
			if total > done && rate > 0 {
				parts = append(parts, clock(time.Duration(float64(total-done)/rate*float64(time.Second)))+" left")
			}
		}
		p.draw(parts)
	}
}
