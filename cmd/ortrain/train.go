package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/distillation"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func (e *environment) train() *cli.Command {
	return command(&cli.Command{
		Name:  "train",
		Usage: "train a classifier, or continue a run",
		Description: `Flags override the recipe file, --set overrides both. Without a recipe the
defaults are ResNet-20 on CIFAR-10 with SGD. Ctrl-C finishes the step, saves
a checkpoint and stops; --resume continues as if nothing had happened. The
same command line with --resume auto begins a run or continues it, whatever
ended it: it can be put into a loop.

  ortrain train --data mnist --model resnet8 --epochs 2 --out runs/digits
  ortrain train --recipe my.yaml --set schedule.lr=0.05 --set augment=[crop]
  ortrain train --data cifar10 --model resnet8 --teacher resnet56.onnx --out runs/taught
  ortrain train --model theirs.onnx --data photos/ --lr 0.01 --set model.freeze=[layer1.*]
  ortrain train --resume --out runs/digits
  ortrain train --data cifar10 --set checkpoint.minutes=10 --resume auto --out runs/long`,
		Flags: append(append(dataFlags(true),
			&cli.StringFlag{Name: "recipe", Usage: "YAML `FILE` that describes the run; every run writes its own as recipe.yaml"},
			&cli.StringSliceFlag{Name: "set", Usage: "set a recipe `KEY=VALUE`, such as optimizer.momentum=0.8; repeatable"},
			&cli.StringFlag{Name: "model", Usage: "network `NAME` or ONNX classifier file (default " + recipe.Default().Model.Name + "): " + strings.Join(models.Names(), ", ")},
			&cli.StringFlag{Name: "weights", Usage: "`FILE` of weights, or run folder, to start from"},
			&cli.IntFlag{Name: "epochs", Usage: "`N` passes over the training images" + usual(recipe.Default().Epochs)},
			&cli.IntFlag{Name: "batch", Usage: "`N` images of a training step" + usual(recipe.Default().Batch)},
			&cli.Float64Flag{Name: "lr", Usage: "base learning `RATE`" + usual(recipe.Default().Schedule.LR)},
			&cli.Uint64Flag{Name: "seed", Usage: "`N` that determines every random draw" + usual(recipe.Default().Seed)},
			&cli.IntFlag{Name: "limit", Usage: "train on at most `N` images (default: all)"},
			&cli.StringSliceFlag{Name: "teacher", Usage: "learn from the ONNX classifier `FILE` as well; of several the average (see ortrain tricks distillation)"},
			&cli.Float64Flag{Name: "teacher-temperature", Usage: "soften the teacher's and the network's answers by `T`" + usual(distillation.DefaultTemperature)},
			&cli.Float64Flag{Name: "teacher-alpha", Usage: "give the teacher the share `ALPHA` of the loss, 0 to 1 (default: added to the whole loss of the labels)"},
			&cli.StringFlag{Name: "teacher-cache", Usage: "keep the teacher's answers on disk: `epochs` (as trained on) or plain (un-augmented, once an image)"},
			&cli.StringFlag{Name: "precision", Usage: "compute in `TYPE` float32 or mixed, products in float16 (default float32; see ortrain tricks mixed_precision)"},
			&cli.StringFlag{Name: "out", Usage: "run folder `DIR`, which must not hold another run (default: a new one below runs/)"},
			resumeFlag(),
			&cli.IntFlag{Name: "stop-after", Usage: "stop once `N` epochs of the run are complete"},
		), executionFlags()...),
		Action: e.runTrain,
	})
}

func usual(v any) string { return fmt.Sprintf(" (default %v)", v) }

// dataFlags are the flags that say which images; training files only where
// there is training.
func dataFlags(training bool) []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "data set or format `NAME`: " + strings.Join(data.Names(), ", ") + "; or the path of images of your own"},
		&cli.StringFlag{Name: "data-dir", Usage: "folder `DIR` of its files (default: the usual places, see ortrain list datasets)"},
		&cli.IntFlag{Name: "size", Usage: "train on images of `N`×N pixels, where the files have various sizes (default 224)"},
	}
	if training {
		flags = append(flags, &cli.StringSliceFlag{Name: "train-files", Usage: "training `FILE` instead of the usual names; a pattern, a comma-separated list, or repeated"})
	}
	return append(flags, &cli.StringSliceFlag{Name: "test-files", Usage: "test `FILE` instead of the usual names; likewise"})
}

// flagKey is a flag that stands for a key of the recipe.
type flagKey struct{ flag, key string }

// recipeKeys are such flags, but for those of executionKeys.
var recipeKeys = []flagKey{
	{"data", "data.name"}, {"data-dir", "data.dir"}, {"size", "data.size"}, {"train-files", "data.train_files"}, {"test-files", "data.test_files"},
	{"model", "model.name"}, {"weights", "model.weights"}, {"epochs", "epochs"}, {"batch", "batch"}, {"lr", "schedule.lr"}, {"seed", "seed"},
	{"precision", "precision"}, {"limit", "limit"},
	{"teacher", "teacher.models"}, {"teacher-temperature", "teacher.temperature"}, {"teacher-alpha", "teacher.alpha"}, {"teacher-cache", "teacher.cache"},
}

// change is one assignment to a recipe with the words that asked for it.
type change struct{ said, assignment string }

// changes lists the assignments on the command line, in the order in which
// they apply.
func changes(c *cli.Context) ([]change, error) {
	list, err := assigned(c, recipeKeys)
	if err != nil {
		return nil, err
	}
	execution, err := executionChanges(c)
	if err != nil {
		return nil, err
	}
	list = append(list, execution...)
	for _, s := range c.StringSlice("set") {
		list = append(list, change{"--set " + s, s})
	}
	return list, nil
}

// apply makes the changes to a recipe.
func apply(r *recipe.Recipe, list []change) error {
	for _, ch := range list {
		if err := r.Set(ch.assignment); err != nil {
			return fmt.Errorf("%s: %w", ch.said, err)
		}
	}
	return nil
}

// assigned lists what flags assign that stand for keys.
func assigned(c *cli.Context, keys []flagKey) ([]change, error) {
	var list []change
	for _, k := range keys {
		if !c.IsSet(k.flag) {
			continue
		}
		var value any = c.Value(k.flag)
		if name, ok := value.(string); ok && k.flag == "data" {
			format, dir, err := data.Detect(name)
			if err != nil {
				return nil, fmt.Errorf("--data: %w", err)
			}
			if dir != "" {
				text, err := json.Marshal(dir)
				if err != nil {
					return nil, err
				}
				list = append(list, change{"--data", "data.dir=" + string(text)})
			}
			value = format
		}
		if f, ok := value.(cli.StringSlice); ok {
			value = splitNames(f.Value())
		}
		// JSON is YAML with every string in quotes.
		text, err := json.Marshal(value)
		if err != nil {
			return nil, &usageError{c.Command.Name, fmt.Sprintf("--%s: %v cannot be used", k.flag, value)}
		}
		list = append(list, change{"--" + k.flag, k.key + "=" + string(text)})
	}
	return list, nil
}

// splitNames splits comma-separated names.
func splitNames(values []string) []string {
	var names []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func (e *environment) runTrain(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	cfg := job.Config{
		Out: c.String("out"), StopAfter: c.Int("stop-after"), Library: c.String("library"),
	}
	switch *c.Generic("resume").(*resumeMode) {
	case "true":
		cfg.Resume = true
	case resumeAuto:
		cfg.ResumeAuto = true
	}
	if (cfg.Resume || cfg.ResumeAuto) && cfg.Out == "" {
		return &usageError{"train", "--resume needs the run to continue: give its folder with --out DIR"}
	}
	if c.IsSet("stop-after") && cfg.StopAfter < 1 {
		return &usageError{"train", fmt.Sprintf("--stop-after %d: give at least 1 epoch", cfg.StopAfter)}
	}
	var err error
	if cfg.Recipe, err = chosenRecipe(c, cfg); err != nil {
		return err
	}
	if cfg.Out == "" {
		if cfg.Out, err = freeFolder(cfg.Recipe); err != nil {
			return err
		}
	}
	report := newProgress(e.err)
	cfg.Reporter = report
	result, err := job.Train(c.Context, cfg)
	report.close()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return &stopped{howToContinue(cfg.Out)}
		}
		if hint := continueHint(cfg.Out); hint != "" && noRoom(err) {
			return fmt.Errorf("%w; make room, then %s", err, hint)
		}
		return err
	}
	e.printResult(result)
	return nil
}

// chosenRecipe makes the recipe from file and flags. A run that is continued
// without any change keeps its own: nil. With --resume auto a folder with a
// recipe is a run to continue.
func chosenRecipe(c *cli.Context, cfg job.Config) (*recipe.Recipe, error) {
	list, err := changes(c)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Out, job.RecipeFile)); cfg.ResumeAuto && err == nil {
		cfg.Resume = true
	}
	r := recipe.Default()
	switch file := c.String("recipe"); {
	case file != "":
		r, err = recipe.Load(file)
	case cfg.Resume && len(list) == 0:
		return nil, nil
	case cfg.Resume:
		r, err = recipe.Load(filepath.Join(cfg.Out, job.RecipeFile))
	}
	if err != nil {
		return nil, err
	}
	return r, apply(r, list)
}

// freeFolder names a run after what it trains.
func freeFolder(r *recipe.Recipe) (string, error) {
	base := filepath.Join("runs", strings.TrimSuffix(filepath.Base(r.Model.Name), ".onnx")+"-"+r.Data.Name+"-seed"+strconv.FormatUint(r.Seed, 10))
	for n := 1; n < 10000; n++ {
		name := base
		if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", fmt.Errorf("cannot choose a run folder: %w; give one with --out DIR", err)
		}
	}
	return "", fmt.Errorf("there are 10,000 runs named %s; give another folder with --out DIR", base)
}

func howToContinue(dir string) string {
	if hint := continueHint(dir); hint != "" {
		return "stopped; " + hint
	}
	return "stopped before the first checkpoint; there is nothing to continue"
}

// continueHint says how a run goes on; empty if it has no checkpoint yet.
func continueHint(dir string) string {
	for _, run := range []string{dir, job.GenerationDir(dir, 1)} {
		if _, err := os.Stat(filepath.Join(run, job.CheckpointFile)); err == nil {
			return "continue with: ortrain train --resume --out " + shellWord(dir)
		}
	}
	return ""
}

// noRoom tells that a file could not be written for want of space.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+=:,@%", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (e *environment) printResult(r job.Result) {
	if !r.Done {
		e.err.println(howToContinue(r.Out))
	}
	last := r.Last
	if last.HeldOut != "" {
		e.out.printf("%s %s (top-5 %s), loss %.4f, after epoch %d of %d, in %s\n",
			e.out.bold(last.HeldOut+" accuracy"), e.out.green(percent(last.Top1, 2)), percent(last.Top5, 2), last.TestLoss,
			last.Epoch+1, last.Epochs, duration(r.Seconds))
	}
	if r.Loading.Images > 0 {
		e.out.println(e.out.faint("loader: "+r.Loading.Stages()) + "; " + r.Loading.Verdict())
	}
	for _, f := range []struct{ name, what string }{
		{job.ModelFile, "the trained model, ready to deploy"},
		{job.CheckpointFile, "the state to resume from"},
		{job.GenerationsFile, "what each generation reached"},
		{job.MetricsFile, "one row an epoch"},
		{job.CurvesFile, "loss, accuracy and learning rate"},
		{job.RecipeFile, "the full recipe"},
		{job.ArtifactsDir, "the training graphs"},
	} {
		path := filepath.Join(r.Out, f.name)
		if _, err := os.Stat(path); err == nil {
			e.out.printf("  %-*s  %s\n", len(r.Out)+1+len(job.CheckpointFile), path, e.out.faint(f.what))
		}
	}
}
