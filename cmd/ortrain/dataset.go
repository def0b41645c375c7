package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) dataInfo() *cli.Command {
	return dataCommand(&cli.Command{
		Name:  "info",
		Usage: "count a data set's images and classes",
		Description: `Prints how many images each part and class has, and the sizes and formats of the
files, from the headers of at most 1,000 of them.

  ortrain data info photos
  ortrain data info --data cifar10 --json`,
		Flags:  append(setFlags(), jsonFlag()),
		Action: func(c *cli.Context) error { return e.summarise(c, false) },
	})
}

func (e *environment) dataStats() *cli.Command {
	return dataCommand(&cli.Command{
		Name:  "stats",
		Usage: "measure a data set's colours and draw samples of its classes",
		Description: `Reads every training image, in the size that training takes, and prints the mean
and deviation of each channel and the principal components of the colours, as a
recipe takes them. --out draws samples of every class.

  ortrain data stats photos --size 224 --out samples.png`,
		Flags: append(setFlags(),
			&cli.IntFlag{Name: "size", Usage: "measure images of `N`×N pixels, where the files have various sizes (default 224)"},
			&cli.StringFlag{Name: "out", Usage: "picture `FILE` to write, a PNG"},
			&cli.IntFlag{Name: "classes", Usage: "draw at most `N` classes (default 40)"},
			&cli.IntFlag{Name: "images", Usage: "draw at most `N` images of a class (default 8)"},
			jsonFlag(),
		),
		Action: func(c *cli.Context) error { return e.summarise(c, true) },
	})
}

// summarise is info, and with colours stats.
func (e *environment) summarise(c *cli.Context, colours bool) error {
	o, err := chosenSet(c)
	if err != nil {
		return err
	}
	for _, name := range []string{"size", "classes", "images"} {
		if c.IsSet(name) && (c.Int(name) < 1 || c.Int(name) > 1<<14) {
			return &usageError{fullName(c.Command), fmt.Sprintf("--%s %d: give 1 to 16384", name, c.Int(name))}
		}
	}
	out := c.String("out")
	if out != "" {
		if err := pictureFile(c, out); err != nil {
			return err
		}
	}
	o.Size = c.Int("size")
	bar := newProgress(e.err)
	s, set, err := data.Summarise(c.Context, o, colours, func(done, total int) { bar.counting("reading", done, total) })
	bar.close()
	if err != nil {
		return err
	}
	if out != "" {
		if err := job.SampleSheet(c.Context, job.SampleSheetConfig{Set: set, Out: out, Classes: c.Int("classes"), Images: c.Int("images")}); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return e.out.json(s)
	}
	e.printSummary(s)
	if out != "" {
		e.out.println("drawn in " + out)
	}
	return nil
}

// mostClassRows is the number of classes that are listed one by one.
const mostClassRows = 30

func (e *environment) printSummary(s *data.Summary) {
	header := []string{"class"}
	var totals []string
	for _, p := range s.Parts {
		header = append(header, ">"+p.Name)
		totals = append(totals, count(p.Images))
	}
	rows := [][]string{append([]string{fmt.Sprintf("all %s classes", count(len(s.Classes)))}, totals...)}
	for k, name := range s.Classes {
		if k == mostClassRows && len(s.Classes) > mostClassRows+1 {
			rows = append(rows, []string{fmt.Sprintf("… %s more", count(len(s.Classes)-k))})
			break
		}
		row := []string{name}
		for _, p := range s.Parts {
			row = append(row, count(p.Counts[k]))
		}
		rows = append(rows, row)
	}
	for i := range rows {
		for len(rows[i]) < len(header) {
			rows[i] = append(rows[i], "")
		}
	}
	e.out.table(header, rows)
	for _, p := range s.Parts {
		if least, most := slices.Min(p.Counts), slices.Max(p.Counts); least != most {
			e.out.printf("%s: %s to %s images a class\n", p.Name, count(least), count(most))
		}
	}
	z := s.Sizes
	looked := fmt.Sprintf("all %s training images", count(z.Of))
	if z.Looked < z.Of {
		looked = fmt.Sprintf("%s of %s training images", count(z.Looked), count(z.Of))
	}
	e.out.printf("width %s, height %s pixels (%s)\n", extents(z.Width), extents(z.Height), looked)
	var formats []string
	for _, f := range slices.Sorted(maps.Keys(z.Formats)) {
		formats = append(formats, count(z.Formats[f])+" "+f)
	}
	if len(formats) > 0 {
		e.out.println("formats: " + strings.Join(formats, ", "))
	}
	if s.Colours != nil {
		e.printColours(s.Colours)
	}
	e.printProblems(s.Problems, "cannot be used; 'ortrain data verify' looks at every image")
}

// extents writes the smallest, the middle and the largest of sizes.
func extents(v [3]int) string {
	if v[0] == v[2] {
		return strconv.Itoa(v[0])
	}
	return fmt.Sprintf("%d to %d (median %d)", v[0], v[2], v[1])
}

// printColours writes the statistics as a recipe takes them.
func (e *environment) printColours(c *data.Colours) {
	list := func(v []float64) string {
		var parts []string
		for _, x := range v {
			parts = append(parts, strconv.FormatFloat(x, 'f', 4, 64))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	e.out.println(e.out.faint("for a recipe:"))
	e.out.printf("data:\n  mean: %s\n  std: %s\n", list(c.Mean), list(c.Std))
	if c.PCA == nil {
		return
	}
	var vectors []float64
	for _, row := range c.PCA.Vectors {
		vectors = append(vectors, row[:]...)
	}
	e.out.printf("augment:\n  - name: pca_colour\n    values: %s\n    vectors: %s\n", list(c.PCA.Values[:]), list(vectors))
}

// mostProblemRows is the number of problems that a summary lists.
const mostProblemRows = 5

func (e *environment) printProblems(problems []files.Problem, what string) {
	for i, p := range problems {
		if i == mostProblemRows {
			e.out.printf("… and %s more\n", count(len(problems)-i))
			break
		}
		e.out.println(e.out.red("broken") + "  " + oneLine(p.String()))
	}
	if n := len(problems); n > 0 {
		e.out.printf("%s %s\n", plural(n, "file"), what)
	}
}

func (e *environment) dataVerify() *cli.Command {
	return dataCommand(&cli.Command{
		Name:  "verify",
		Usage: "read and decode every image, and list all that is wrong",
		Description: `Lists files that are cut off, empty, too large, unreadable or damaged, links that
lead in circles, test images of classes that the training set lacks and shards
whose checksum differs: these are broken, and the exit code is 1. Files named
as another format and duplicates are noted.

  ortrain data verify photos`,
		Flags:  append(setFlags(), jsonFlag()),
		Action: e.runDataVerify,
	})
}

func (e *environment) runDataVerify(c *cli.Context) error {
	o, err := chosenSet(c)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	v, err := data.Verify(c.Context, o, func(done, total int) { bar.counting("verifying", done, total) })
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if err := e.out.json(v); err != nil {
			return err
		}
	} else {
		for _, p := range v.Broken {
			e.out.printf("%s  %s: %s\n", e.out.red("broken"), p.Kind, oneLine(p.String()))
		}
		for _, p := range v.Noted {
			e.out.printf("noted   %s: %s\n", p.Kind, oneLine(p.String()))
		}
		e.out.printf("%s looked at: %s, %s\n", plural(v.Images, "image"), kinds(v.Broken, "broken"), kinds(v.Noted, "noted"))
	}
	if n := len(v.Broken); n > 0 {
		return errors.New(plural(n, "broken file") + " in the data set: repair or remove them, or let training leave them out with data.skip_broken=" + strconv.Itoa(n))
	}
	return nil
}

// kinds counts problems in words.
func kinds(problems []files.Problem, what string) string {
	var parts []string
	for _, k := range data.Kinds(problems) {
		parts = append(parts, count(k.Count)+" "+k.Kind)
	}
	if len(parts) == 0 {
		return "none " + what
	}
	return fmt.Sprintf("%s %s (%s)", count(len(problems)), what, strings.Join(parts, ", "))
}
