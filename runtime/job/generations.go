package job

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// A chain of generations (Furlanello et al. 2018, "Born-Again Neural Networks")
// is several runs by one recipe, each taught by the one before. Its folder holds
//
//	recipe.yaml       the chain's recipe
//	generation-1/ …   a run folder each
//	generations.csv   what each reached
//	model.onnx        the last one's

// GenerationsFile is the table of a chain's generations.
const GenerationsFile = "generations.csv"

// GenerationDir returns the folder of generation g (from 1) within a chain's.
func GenerationDir(out string, g int) string {
	return filepath.Join(out, fmt.Sprintf("generation-%d", g))
}

// chain returns the recipe of a configuration that asks for generations; nil
// for a single run, and for a recipe that cannot be read, which the run itself
// reports.
func (c Config) chain() *recipe.Recipe {
	r := c.Recipe
	if r == nil && (c.Resume || c.ResumeAuto) {
		r, _ = recipe.Load(filepath.Join(c.Out, RecipeFile))
	}
	if r == nil || r.Teacher.Generations < 2 {
		return nil
	}
	return r
}

// trainChain trains the generations one after the other. Those that are
// complete are not trained again.
func trainChain(ctx context.Context, c Config, r *recipe.Recipe) (Result, error) {
	res := Result{Out: c.Out}
	if err := checkOut(c.Out, c.Resume, c.ResumeAuto); err != nil {
		return res, err
	}
	var lock *runlock.Lock
	defer func() { lock.Release() }()
	claim := func() (err error) {
		if lock == nil {
			lock, err = runlock.Take(c.Out)
		}
		return err
	}
	if exists(c.Out) {
		if err := claim(); err != nil {
			return res, err
		}
	}
	r, err := r.Resolve()
	if err != nil {
		return res, err
	}
	if err := identifyTeachers(r); err != nil {
		return res, err
	}
	if c.Resume || c.ResumeAuto && exists(filepath.Join(c.Out, RecipeFile)) {
		if err := sameChain(c.Out, r); err != nil {
			return res, err
		}
	}
	var table [][]string
	n := r.Teacher.Generations
	for g := 1; g <= n; g++ {
		sub, err := generation(c, r, g, claim)
		if err != nil {
			return res, err
		}
		about := "from the labels alone"
		if len(sub.Recipe.Teacher.Models) > 0 {
			about = "taught by " + sub.Recipe.Teacher.Models[0].File
		}
		c.Reporter.Note(fmt.Sprintf("generation %d of %d, %s", g, n, about))
		one, err := trainOne(ctx, sub, nil)
		res.Last, res.Seconds = one.Last, res.Seconds+one.Seconds
		if err != nil {
			return res, fmt.Errorf("generation %d: %w", g, err)
		}
		if !one.Done {
			return res, nil
		}
		table = append(table, []string{strconv.Itoa(g), strconv.FormatUint(sub.Recipe.Seed, 10),
			strconv.FormatFloat(one.Last.Top1, 'f', -1, 64), strconv.FormatFloat(one.Last.TestLoss, 'f', -1, 64)})
		if err := writeGenerations(c.Out, table); err != nil {
			return res, err
		}
	}
	res.Done = true
	model, err := os.ReadFile(filepath.Join(GenerationDir(c.Out, n), ModelFile))
	if err != nil {
		return res, err
	}
	return res, atomicfile.Write(filepath.Join(c.Out, ModelFile), model)
}

// generation is the run of generation g of a chain whose recipe is resolved;
// claim locks the chain's folder.
func generation(c Config, chain *recipe.Recipe, g int, claim func() error) (Config, error) {
	r, err := chain.Resolve() // a copy
	if err != nil {
		return c, err
	}
	r.Teacher.Generations = 0
	r.Seed += uint64(g - 1)
	switch {
	case g > 1:
		r.Teacher.Models = []recipe.TeacherModel{{File: filepath.Join(GenerationDir(c.Out, g-1), ModelFile)}}
	case len(r.Teacher.Models) == 0:
		r.Teacher = recipe.Teacher{}
	}
	out, resumed := c.Out, c.Resume
	c.Recipe, c.Out, c.Resume = r, GenerationDir(out, g), false
	if resumed {
		if _, err := os.Stat(filepath.Join(c.Out, CheckpointFile)); err == nil {
			c.Resume = true
		} else if err := os.RemoveAll(c.Out); err != nil { // it was stopped before its first step
			return c, fmt.Errorf("cannot begin generation %d anew: %w", g, err)
		}
	}
	c.begin = func() error {
		text, err := chain.Marshal()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(out, 0o755); err != nil {
			return fmt.Errorf("cannot make output folder %s: %w", out, err)
		}
		if err := claim(); err != nil {
			return err
		}
		return atomicfile.Write(filepath.Join(out, RecipeFile), text)
	}
	return c, nil
}

// sameChain refuses to go on with another recipe than the chain began with.
func sameChain(out string, r *recipe.Recipe) error {
	path := filepath.Join(out, RecipeFile)
	saved, err := recipe.Load(path)
	if err != nil {
		return fmt.Errorf("cannot resume: %w", err)
	}
	return differs(saved, r, path, true)
}

func writeGenerations(out string, table [][]string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"generation", "seed", "test_accuracy", "test_loss"})
	w.WriteAll(table) // a bytes.Buffer never fails
	return atomicfile.Write(filepath.Join(out, GenerationsFile), b.Bytes())
}

// lastGeneration returns the newest generation's folder where dir is a
// chain's, and dir itself otherwise.
func lastGeneration(dir string) string {
	r, err := recipe.Load(filepath.Join(dir, RecipeFile))
	if err != nil {
		return dir
	}
	for g := r.Teacher.Generations; g > 0; g-- {
		if _, err := os.Stat(filepath.Join(GenerationDir(dir, g), CheckpointFile)); !errors.Is(err, os.ErrNotExist) {
			return GenerationDir(dir, g)
		}
	}
	return dir
}
