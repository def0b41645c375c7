package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// listing is what there is of one subject: a table for people, and values for
// programs.
type listing struct {
	subject, about string
	header         []string
	rows           func() ([][]string, any)
}

var listings = []listing{
	{"models", "networks, for --model; parameters and multiply-adds an image at 10 classes and 32×32 RGB", []string{"name", ">parameters", ">multiply-adds", "description", "source", "options (default first)"}, listModels},
	{"optimizers", "update rules, for --set optimizer.name=NAME", []string{"name", "description", "fed with", "options (default first)"}, listOptimizers},
	{"schedules", "learning-rate schedules, for --set schedule.name=NAME", []string{"name", "summary"}, listSchedules},
	{"tricks", "every trick; 'ortrain tricks NAME' prints its card", []string{"name", "kind", "summary"}, listTricks},
	{"datasets", "data sets, for --data; 'ortrain doctor' tells which are found", []string{"name", ">classes", "image", "summary", "files (training; test)"}, listDataSets},
}

func (e *environment) list() *cli.Command {
	var subjects []string
	for _, l := range listings {
		subjects = append(subjects, l.subject)
	}
	return command(&cli.Command{
		Name:      "list",
		Usage:     "list models, optimizers, schedules, tricks or data sets",
		ArgsUsage: strings.Join(subjects, "|"),
		Description: `  ortrain list models
  ortrain list schedules --json`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return &usageError{"list", "list what? one of " + strings.Join(subjects, ", ")}
			}
			subject := c.Args().First()
			for _, l := range listings {
				if l.subject == subject {
					return e.print(l, c.Bool("json"))
				}
			}
			return &usageError{"list", fmt.Sprintf("cannot list %q%s", subject, nearest.Hint(subject, subjects))}
		},
	})
}

func (e *environment) print(l listing, asJSON bool) error {
	rows, values := l.rows()
	if asJSON {
		return e.out.json(values)
	}
	e.out.println(l.about)
	e.out.table(append([]string(nil), l.header...), rows)
	return nil
}

// optionInfo is a switch of a model or an optimizer; the default comes first.
// One without values takes a number from 0 up to 1, by default 0 or Default.
type optionInfo struct {
	Name    string   `json:"name"`
	Values  []string `json:"values"`
	Help    string   `json:"help,omitempty"`
	Default string   `json:"default,omitempty"`
}

func optionList(options []optionInfo) string {
	var list []string
	for _, o := range options {
		if o.Values == nil {
			text := o.Name + " 0..1"
			if o.Default != "" {
				text += " (" + o.Default + ")"
			}
			list = append(list, text)
			continue
		}
		list = append(list, o.Name+" "+strings.Join(o.Values, "|"))
	}
	return strings.Join(list, ", ")
}

type modelInfo struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Source      string       `json:"source"`
	Parameters  int          `json:"parameters"`
	FLOPs       int64        `json:"flops"`
	MinInput    int          `json:"min_input"`
	Options     []optionInfo `json:"options"`
}

func listModels() (rows [][]string, values any) {
	var list []modelInfo
	for _, name := range models.Names() {
		m, _ := models.Lookup(name)
		info := modelInfo{Name: name, Description: m.Description, Source: m.Source, MinInput: m.MinInput, Options: []optionInfo{}}
		for _, o := range m.Options {
			info.Options = append(info.Options, optionInfo{o.Name, o.Values, o.Help, o.Default})
		}
		side := max(32, m.MinInput)
		parameters, flops := "–", "–"
		if cfg, err := m.Resolve(models.Config{Classes: 10, Input: [3]int{3, side, side}}); err == nil {
			info.Parameters, info.FLOPs = m.Size(cfg)
			parameters, flops = count(info.Parameters), short(info.FLOPs)
		}
		list = append(list, info)
		rows = append(rows, []string{name, parameters, flops, m.Description, m.Source, optionList(info.Options)})
	}
	return rows, list
}

type hyperInfo struct {
	Name    string  `json:"name"`
	Default float32 `json:"default"`
	Help    string  `json:"help,omitempty"`
}

type optimizerInfo struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Source      string       `json:"source"`
	Hyper       []hyperInfo  `json:"hyperparameters"`
	Slots       []string     `json:"slots"`
	Options     []optionInfo `json:"options"`
}

func listOptimizers() (rows [][]string, values any) {
	var list []optimizerInfo
	for _, name := range optimizer.Names() {
		o, _ := optimizer.Lookup(name)
		info := optimizerInfo{Name: name, Description: o.Description, Source: o.Source, Slots: []string{}, Options: []optionInfo{}}
		var fed []string
		for _, h := range o.Hyper {
			info.Hyper = append(info.Hyper, hyperInfo{h.Name, h.Default, h.Help})
			fed = append(fed, fmt.Sprintf("%s %g", h.Name, h.Default))
		}
		for _, s := range o.Slots {
			info.Slots = append(info.Slots, s.Name)
		}
		for _, op := range o.Options {
			info.Options = append(info.Options, optionInfo{Name: op.Name, Values: op.Values, Help: op.Help})
		}
		list = append(list, info)
		rows = append(rows, []string{name, o.Description, strings.Join(fed, ", "), optionList(info.Options)})
	}
	return rows, list
}

type trickInfo struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
}

func trickInfos(kind tricks.Kind) []trickInfo {
	list := []trickInfo{}
	for _, t := range tricks.All(kind) {
		list = append(list, trickInfo{t.Name, string(t.Kind), t.Summary})
	}
	return list
}

func listSchedules() (rows [][]string, values any) {
	list := trickInfos(tricks.Schedule)
	for _, t := range list {
		rows = append(rows, []string{t.Name, t.Summary})
	}
	return rows, list
}

func listTricks() (rows [][]string, values any) {
	list := trickInfos("")
	for _, t := range list {
		rows = append(rows, []string{t.Name, t.Kind, t.Summary})
	}
	return rows, list
}

type dataSetInfo struct {
	Name    string   `json:"name"`
	Summary string   `json:"summary"`
	Classes []string `json:"classes"`
	// Image is C, H, W.
	Image      [3]int   `json:"image"`
	TrainFiles []string `json:"train_files"`
	TestFiles  []string `json:"test_files"`
	Folders    []string `json:"folders"`
	// Layout is that of a format, whose classes and image size the files say.
	Layout string `json:"layout,omitempty"`
}

func listDataSets() (rows [][]string, values any) {
	var list []dataSetInfo
	for _, name := range data.Names() {
		d, err := data.Lookup(name)
		if err != nil {
			continue // Names lists what Lookup knows
		}
		image := [3]int{d.Size.C, d.Size.H, d.Size.W}
		list = append(list, dataSetInfo{name, d.Summary, d.Classes, image, d.TrainFiles, d.TestFiles, d.Folders, d.Layout})
		if d.Layout != "" {
			rows = append(rows, []string{name, "any", "any", d.Summary, d.Layout})
			continue
		}
		rows = append(rows, []string{name, count(len(d.Classes)), dims(image[:]), d.Summary,
			few(d.TrainFiles) + "; " + few(d.TestFiles)})
	}
	return rows, list
}

// few shortens a list of file names.
func few(names []string) string {
	if len(names) > 2 {
		return names[0] + " … " + names[len(names)-1]
	}
	return strings.Join(names, ", ")
}

func (e *environment) tricks() *cli.Command {
	return command(&cli.Command{
		Name:      "tricks",
		Usage:     "print a trick's card: formula, source, defaults, advice",
		ArgsUsage: "[NAME]",
		Description: `Without a name, lists all tricks.

  ortrain tricks cosine`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			switch c.NArg() {
			case 0:
				for _, l := range listings {
					if l.subject == "tricks" {
						return e.print(l, c.Bool("json"))
					}
				}
			case 1:
				t, err := tricks.Lookup(c.Args().First())
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.out.json(map[string]string{"name": t.Name, "kind": string(t.Kind), "summary": t.Summary, "card": t.Card})
				}
				e.out.println(strings.TrimSpace(t.Card))
				return nil
			}
			return &usageError{"tricks", "give one trick at a time"}
		},
	})
}
