package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// data groups the commands about data sets.
func (e *environment) data() *cli.Command {
	return command(&cli.Command{
		Name:  "data",
		Usage: "download, look at, verify, measure or pack a data set",
		Description: `Every command takes a data set by its name (--data, --data-dir), or images of
your own by their path.

  ortrain data verify photos
  ortrain data pack photos --size 256 --out photos-packed`,
		Subcommands: []*cli.Command{e.dataGet(), e.dataInfo(), e.dataVerify(), e.dataStats(), e.dataPack()},
	})
}

// dataCommand completes the definition of a command about a data set.
func dataCommand(c *cli.Command) *cli.Command {
	c.Category = "data"
	c.ArgsUsage = "[PATH]"
	return command(c)
}

// setFlags are the flags that say which images.
func setFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "data set or format `NAME`: " + strings.Join(data.Names(), ", ") + "; or the path of images of your own"},
		&cli.StringFlag{Name: "data-dir", Usage: "folder `DIR` of its files (default: the usual places, see ortrain list datasets)"},
		&cli.StringSliceFlag{Name: "train-files", Usage: "training `FILE` instead of the usual names; a pattern, a comma-separated list, or repeated"},
		&cli.StringSliceFlag{Name: "test-files", Usage: "test `FILE` instead of the usual names; likewise"},
		&cli.StringFlag{Name: "image-key", Usage: "`NAME` of the images' column or ending, where the format has several"},
		&cli.StringFlag{Name: "label-key", Usage: "`NAME` of the labels' column, key or ending, likewise"},
		&cli.Float64Flag{Name: "test-split", Usage: "`SHARE` held out as test images where the files have none (default 0.2)"},
	}
}

// chosenSet returns the data set that setFlags, or the one argument, mean.
func chosenSet(c *cli.Context) (data.Options, error) {
	o := data.Options{
		Dir: c.String("data-dir"), TrainFiles: splitNames(c.StringSlice("train-files")), TestFiles: splitNames(c.StringSlice("test-files")),
		ImageKey: c.String("image-key"), LabelKey: c.String("label-key"), TestSplit: c.Float64("test-split"),
	}
	if o.TestSplit < 0 || o.TestSplit >= 1 {
		return o, &usageError{fullName(c.Command), fmt.Sprintf("--test-split %v: give a share from 0 to below 1", o.TestSplit)}
	}
	said, name := "--data", c.String("data")
	switch {
	case c.NArg() > 1:
		return o, &usageError{fullName(c.Command), fmt.Sprintf("one data set at a time, not %s", strings.Join(c.Args().Slice(), ", "))}
	case c.NArg() == 1 && name != "":
		return o, &usageError{fullName(c.Command), fmt.Sprintf("both --data %s and %s; give one", name, c.Args().First())}
	case c.NArg() == 1:
		said, name = "", c.Args().First()
		if !slices.Contains(data.Names(), name) && !strings.ContainsAny(name, `/\`) {
			name = "." + string(filepath.Separator) + name
		}
	case name == "":
		return o, &usageError{fullName(c.Command), "which data set? give its path, or --data NAME"}
	}
	found, dir, err := data.Detect(name)
	if err != nil {
		if said != "" {
			err = fmt.Errorf("%s: %w", said, err)
		}
		return o, err
	}
	if _, err := data.Lookup(found); err != nil {
		return o, err
	}
	if dir != "" && o.Dir != "" {
		return o, &usageError{fullName(c.Command), fmt.Sprintf("--data %s is a path already, so --data-dir says nothing; leave one of them out", name)}
	}
	o.Name = found
	if dir != "" {
		o.Dir = dir
	}
	return o, nil
}

func (e *environment) dataPack() *cli.Command {
	return dataCommand(&cli.Command{
		Name:  "pack",
		Usage: "write a data set as memory-mapped shards, for speed",
		Description: `Writes all images with their classes into a few large files in --out, with an
index and checksums; train on them with --data OUT. Raw pixels load fastest and
take the most room: choose a size somewhat above the training size, so that
random crops find something to choose from.

  ortrain data pack photos --size 256 --out photos-packed
  ortrain data pack --data cifar10 --out cifar-packed
  ortrain train --data ./photos-packed --size 224`,
		Flags: append(setFlags(),
			&cli.StringFlag{Name: "out", Usage: "new folder `DIR` to write"},
			&cli.StringFlag{Name: "pixels", Usage: "`KIND` of images to write: " + strings.Join(data.PackKinds, ", ") + " (default " + data.PackKinds[0] + ")"},
			&cli.IntFlag{Name: "size", Usage: "`N`×N raw pixels, or the shorter side of jpeg images (default: 256 for raw, unchanged for jpeg; data sets of one size keep it)"},
			&cli.IntFlag{Name: "quality", Usage: "`Q` of jpeg images, 1 to 100 (default 90)"},
			&cli.IntFlag{Name: "shard-mib", Usage: "`N` MiB of a shard (default 256)"},
			&cli.IntFlag{Name: "skip-broken", Usage: "leave out up to `N` broken images (default 0: stop at the first)"},
			&cli.IntFlag{Name: "workers", Usage: "`N` images at a time (default: one per core)"},
			jsonFlag(),
		),
		Action: e.runDataPack,
	})
}

func (e *environment) runDataPack(c *cli.Context) error {
	o, err := chosenSet(c)
	if err != nil {
		return err
	}
	if c.String("out") == "" {
		return &usageError{"data pack", "where to? give a new folder with --out DIR"}
	}
	if p := c.String("pixels"); p != "" && !slices.Contains(data.PackKinds, p) {
		return &usageError{"data pack", fmt.Sprintf("--pixels: unknown kind %q%s", p, nearest.Hint(p, data.PackKinds))}
	}
	for _, f := range []struct {
		name      string
		low, high int
	}{{"size", 1, 1 << 14}, {"quality", 1, 100}, {"shard-mib", 1, 1 << 20}, {"workers", 1, 4096}, {"skip-broken", 0, 1 << 40}} {
		if v := c.Int(f.name); c.IsSet(f.name) && (v < f.low || v > f.high) {
			return &usageError{"data pack", fmt.Sprintf("--%s %d: give %d to %d", f.name, v, f.low, f.high)}
		}
	}
	o.SkipBroken = c.Int("skip-broken")
	set, err := data.Open(o)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	for _, p := range set.Problems {
		bar.line("left out: " + oneLine(p.String()))
	}
	m, err := data.Pack(c.Context, set, data.PackOptions{
		Out: c.String("out"), Pixels: c.String("pixels"), Size: c.Int("size"), Quality: c.Int("quality"),
		ShardBytes: int64(c.Int("shard-mib")) << 20, Workers: c.Int("workers"), SkipBroken: o.SkipBroken - len(set.Problems),
		Progress: func(done, total int) { bar.counting("packing", done, total) },
		Report:   func(p files.Problem) { bar.line(oneLine(p.String())) },
	})
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(m)
	}
	for _, name := range []string{"train", "validation", "test"} {
		p := m.Parts[name]
		if p == nil {
			continue
		}
		size := p.Index.Bytes
		for _, s := range p.Shards {
			size += s.Bytes
		}
		e.out.printf("%-10s  %s, %s in %s\n", name, plural(p.Images, "image"), fileSize(size), plural(len(p.Shards), "shard"))
	}
	e.out.printf("%s classes packed in %s; train with: ortrain train --data %s\n", count(len(m.Classes)), c.String("out"), shellWord(asPath(c.String("out"))))
	return nil
}

// asPath writes a folder so that it cannot be taken for a data set's name.
func asPath(dir string) string {
	if strings.ContainsAny(dir, `/\`) {
		return dir
	}
	return "." + string(filepath.Separator) + dir
}

// counting redraws the line of a job that goes through images.
func (p *progress) counting(what string, done, total int) {
	if now := p.now(); p.out.live && (now.Sub(p.last) >= redraw || done == total) {
		p.last = now
		p.draw([]string{what, p.bar(done, total, 24), fmt.Sprintf("%s/%s images", count(done), count(total))})
	}
}
