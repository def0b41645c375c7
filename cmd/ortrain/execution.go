package main

import (
	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// executionFlags are the flags that say what runs a model: those of every
// command that runs one.
func executionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "threads", Usage: "`N` threads that run the model (default: one per core)"},
		&cli.StringFlag{Name: "provider", Usage: "execution provider `NAME`: cpu or cuda (default " + recipe.Default().Provider + ")"},
		&cli.IntFlag{Name: "device", Usage: "number `N` of the device of provider cuda" + usual(0)},
		&cli.StringSliceFlag{Name: "cuda", Usage: "set an option `KEY=VALUE` of provider cuda: memory_gib, convolution_search (exhaustive, heuristic), tf32 or fallback (cpu); repeatable"},
		libraryFlag(),
	}
}

func libraryFlag() cli.Flag {
	return &cli.StringFlag{Name: "library", Usage: "`PATH` of the ONNX Runtime library (default: searched, see ortrain doctor)"}
}

// executionKeys are those of the flags that stand for keys of the recipe.
var executionKeys = []flagKey{{"threads", "threads"}, {"provider", "provider"}, {"device", "cuda.device"}}

// executionChanges lists what executionFlags assign to a recipe.
func executionChanges(c *cli.Context) ([]change, error) {
	list, err := assigned(c, executionKeys)
	for _, s := range c.StringSlice("cuda") {
		list = append(list, change{"--cuda " + s, "cuda." + s})
	}
	return list, err
}

// executionOf reads and checks executionFlags for a job without a recipe.
func executionOf(c *cli.Context) (job.Execution, error) {
	list, err := executionChanges(c)
	if err != nil {
		return job.Execution{}, err
	}
	r := recipe.Default()
	if err := apply(r, list); err != nil {
		return job.Execution{}, err
	}
	e := job.Execution{Provider: r.Provider, CUDA: r.CUDA, Threads: r.Threads, Library: c.String("library")}
	return e, e.Check()
}
