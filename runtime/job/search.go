package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/search"
)

// SearchConfig says for which data to look for an augmentation policy. Zero
// values mean the defaults, which are the paper's.
type SearchConfig struct {
	// Recipe describes the child networks: data, model, training. Its test
	// images take no part. It is resolved by Search and not changed.
	Recipe *recipe.Recipe
	// Out is the policy file to write, ending in .yaml; the picture lies
	// beside it, and the folder of the search in progress until it is done.
	Out string
	// Resume continues the search whose folder lies beside Out.
	Resume bool
	// Folds is the number of parts of the training images (5). For each, a
	// child is trained on the others, and policies are judged on it.
	Folds int
	// Candidates is the number of policies tried for each fold (200), of
	// SubPolicies (5) sub-policies of Steps (2) operations.
	Candidates, SubPolicies, Steps int
	// Top is the number of each fold's best policies that are merged (10).
	Top int
	// Draws is how often each held-out image is augmented by a policy (5).
	Draws int
	// Images is the largest number of held-out images of a fold to judge by;
	// 0 means all.
	Images int
	// Objective is SearchLoss, the paper's, or SearchAccuracy, as in the
	// authors' code.
	Objective string
	Library   string
	// Reporter, if set, is told how the children's training goes.
	Reporter Reporter
	// Progress, if set, is called after every policy that was tried.
	Progress func(SearchProgress)
}

// The objectives of a search.
const (
	SearchLoss     = "loss"     // the mean cross-entropy
	SearchAccuracy = "accuracy" // the share of wrong answers
)

// SearchProgress is the state of a search.
type SearchProgress struct {
	Fold, Folds int // Fold counts from 0
	// Done of Candidates policies are tried in the fold.
	Done, Candidates int
	// Best is the lowest objective of the fold so far, Plain that of its images
	// without a policy.
	Best, Plain float64
	// Left estimates the time to the end of the fold.
	Left time.Duration
}

// SearchFold is what was found in one fold.
type SearchFold struct {
	Plain SearchTrial   `json:"without_policy"`
	Top   []SearchTrial `json:"top"`
}

// SearchTrial is a policy that was tried, and how a fold's child answered its
// images when the policy had changed them: an image counts by the best answer to
// its draws.
type SearchTrial struct {
	Policy   policy.Policy `json:"-"`
	Loss     float64       `json:"loss"`
	Accuracy float64       `json:"accuracy"`
	// Seconds is the time it took.
	Seconds float64 `json:"seconds"`
}

func (t SearchTrial) objective(name string) float64 {
	if name == SearchAccuracy {
		return 1 - t.Accuracy
	}
	return t.Loss
}

// SearchResult is the outcome of a search.
type SearchResult struct {
	Policy policy.Policy `json:"-"`
	Folds  []SearchFold  `json:"folds"`
	// Seconds is the time of training and search, interruptions left out.
	Seconds float64 `json:"seconds"`
	Out     string  `json:"policy"`
	Picture string  `json:"picture"`
}

// complete fills in the defaults and checks the rest.
func (c SearchConfig) complete() (SearchConfig, error) {
	c.Folds, c.Candidates, c.SubPolicies, c.Steps = cmp.Or(c.Folds, 5), cmp.Or(c.Candidates, 200), cmp.Or(c.SubPolicies, 5), cmp.Or(c.Steps, 2)
	c.Top, c.Draws, c.Objective = cmp.Or(c.Top, min(10, c.Candidates)), cmp.Or(c.Draws, 5), cmp.Or(c.Objective, SearchLoss)
	if c.Recipe == nil {
		return c, errors.New("no recipe given")
	}
	for _, n := range []struct {
		what        string
		value       int
		least, most int
	}{
		{"folds", c.Folds, 2, 100}, {"candidates", c.Candidates, 1, 100_000}, {"sub-policies", c.SubPolicies, 1, 100},
		{"steps", c.Steps, 1, policy.MostSteps}, {"top", c.Top, 1, c.Candidates}, {"draws", c.Draws, 1, 1000}, {"images", c.Images, 0, math.MaxInt},
	} {
		if n.value < n.least || n.value > n.most {
			return c, fmt.Errorf("%s: must be %d to %d, got %d", n.what, n.least, n.most, n.value)
		}
	}
	if c.Objective != SearchLoss && c.Objective != SearchAccuracy {
		return c, fmt.Errorf("objective: must be %s or %s, got %q", SearchLoss, SearchAccuracy, c.Objective)
	}
	if ext := filepath.Ext(c.Out); ext != ".yaml" && ext != ".yml" {
		return c, fmt.Errorf("the policy file %q must end in .yaml, as train expects it", c.Out)
	}
	if c.Reporter == nil {
		c.Reporter = silent{}
	}
	return c, nil
}

// folder is where the search in progress lies.
func (c SearchConfig) folder() string {
	return strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".search"
}

// Search looks for an augmentation policy for a recipe's data by density
// matching (Lim, Kim, Kim, Kim, Kim 2019, "Fast AutoAugment", algorithm 1): the
// training images are cut into folds; for each, a child is trained on the
// others, and policies are sought that change the fold's images in such ways
// that the child still recognises them, by a tree-structured Parzen estimator.
// The best policies of all folds are merged into the file that train reads as
// augment: [{name: autoaugment, policy: FILE}].
//
// What is done is kept in a folder beside Out. Cancelling ctx leaves it, and a
// search that is resumed ends with the same policy as one that was not
// interrupted.
func Search(ctx context.Context, c SearchConfig) (*SearchResult, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	if err := checkNames(r); err != nil {
		return nil, err
	}
	if err := c.checkFolder(); err != nil {
		return nil, err
	}
	if _, err := libraryFor(r, c.Library); err != nil {
		return nil, err
	}
	d, err := openData(ctx, r)
	if err != nil {
		return nil, err
	}
	if n := d.Train.Len() / c.Folds; n < 1 || d.Train.Len()-d.Train.Len()/c.Folds-1 < r.Batch {
		return nil, fmt.Errorf("%d training images are too few for %d folds and a batch of %d; lower folds or batch, or raise the limit", d.Train.Len(), c.Folds, r.Batch)
	}
	s := &searching{SearchConfig: c, recipe: r, data: d,
		space: search.Policies{Ops: search.Operations(), SubPolicies: c.SubPolicies, Steps: c.Steps}}
	if err := s.record(); err != nil {
		return nil, err
	}
	res := &SearchResult{Out: c.Out, Picture: strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".png"}
	var best []policy.Policy
	for k, held := range d.Train.Folds(c.Folds, r.Seed) {
		fold, seconds, err := s.fold(ctx, k, held)
		if err != nil {
			return nil, err
		}
		res.Seconds += seconds
		res.Folds = append(res.Folds, fold)
		for _, t := range fold.Top {
			best = append(best, t.Policy)
		}
	}
	if res.Policy = search.Merge(best...); len(res.Policy) == 0 {
		return nil, errors.New("the search found no policy that does anything; try more candidates")
	}
	if err := s.sheet(res); err != nil {
		return nil, err
	}
	if err := atomicfile.Write(c.Out, s.file(res)); err != nil {
		return nil, err
	}
	return res, os.RemoveAll(c.folder())
}

// searching is a search in progress.
type searching struct {
	SearchConfig
	recipe *recipe.Recipe
	data   *data.Dataset
	space  search.Policies
}

// fold trains the child of fold k and tries the policies on its images.
func (s *searching) fold(ctx context.Context, k int, held *data.Subset) (SearchFold, float64, error) {
	judged := held
	if s.Images > 0 {
		judged = held.Limit(s.Images, s.recipe.Seed)
	}
	run := filepath.Join(s.folder(), fmt.Sprintf("fold%d", k+1))
	seconds, err := s.child(ctx, k, run, held, judged)
	if err != nil {
		return SearchFold{}, 0, err
	}
	dir := filepath.Join(run, ArtifactsDir)
	m, err := artifact.Read(dir)
	if err != nil {
		return SearchFold{}, 0, err
	}
	state, err := savedWeights(run, "", m)
	if err != nil {
		return SearchFold{}, 0, err
	}
	p, err := s.pixels()
	if err != nil {
		return SearchFold{}, 0, err
	}
	e, err := runtime.NewByteEvaluator(dir, p, sessions(s.recipe))
	if err != nil {
		return SearchFold{}, 0, err
	}
	defer e.Close()
	j := judge{searching: s, evaluator: e, state: state, images: judged}
	trials, err := s.trials(ctx, k, j)
	if err != nil {
		return SearchFold{}, 0, err
	}
	for _, t := range trials {
		seconds += t.Seconds
	}
	// Number 0 is the images without a policy.
	top := slices.Clone(trials[1:])
	slices.SortStableFunc(top, func(a, b SearchTrial) int { return cmp.Compare(a.objective(s.Objective), b.objective(s.Objective)) })
	return SearchFold{Plain: trials[0], Top: top[:s.Top]}, seconds, nil
}

// child trains the network of a fold, or what is left of its training, and
// returns the seconds of its epochs.
func (s *searching) child(ctx context.Context, k int, run string, held, judged *data.Subset) (float64, error) {
	r, err := s.recipe.Resolve() // a copy
	if err != nil {
		return 0, err
	}
	// The image numbers of the folds' loaders are the same; their seeds are not.
	r.Seed = rng.Mix(s.recipe.Seed, uint64(k), uint64(rng.NewKey("fold"))) >> 1 // recipes are YAML, whose integers have a sign
	d := *s.data
	d.Train, d.Validation, d.Problems = s.data.Train.Without(held), judged, nil
	resume := exists(filepath.Join(run, CheckpointFile))
	if !resume {
		// Its first epoch was not complete.
		if err := os.RemoveAll(run); err != nil {
			return 0, err
		}
	}
	s.Reporter.Note(fmt.Sprintf("fold %d of %d: a child for %d held-out images", k+1, s.Folds, judged.Len()))
	cfg := Config{Recipe: r, Out: run, Resume: resume, Library: s.Library, Reporter: s.Reporter}
	if resume {
		cfg.Recipe = nil
	}
	if _, err := trainOne(ctx, cfg, &d); err != nil {
		return 0, fmt.Errorf("child of fold %d: %w", k+1, err)
	}
	return trainingSeconds(run)
}

// trials tries policies until there are enough, beginning after those on record.
func (s *searching) trials(ctx context.Context, k int, j judge) ([]SearchTrial, error) {
	tpe := search.TPE{Dimensions: s.space.Dimensions(), Seed: rng.Mix(s.recipe.Seed, uint64(k))}
	log, err := openTrials(filepath.Join(s.folder(), fmt.Sprintf("fold%d.csv", k+1)))
	if err != nil {
		return nil, err
	}
	var trials []SearchTrial
	var history []search.Trial
	begun, tried := time.Now(), 0
	best := math.Inf(1)
	for i := range s.Candidates + 1 {
		var point []float64
		var p policy.Policy
		if i > 0 {
			point = tpe.Suggest(history)
			s.space.Round(point)
			p = s.space.Policy(point)
		}
		t, known, err := log.at(i, p)
		if err == nil && !known {
			if t, err = j.try(ctx, p); err == nil {
				err = log.add(t)
			}
			tried++
		}
		if err != nil {
			return nil, err
		}
		trials = append(trials, t)
		if i == 0 {
			continue
		}
		history = append(history, search.Trial{Values: point, Loss: t.objective(s.Objective)})
		best = min(best, t.objective(s.Objective))
		if s.Progress != nil && !known {
			left := time.Since(begun) / time.Duration(tried) * time.Duration(s.Candidates-i)
			s.Progress(SearchProgress{Fold: k, Folds: s.Folds, Done: i, Candidates: s.Candidates, Best: best, Plain: trials[0].objective(s.Objective), Left: left})
		}
	}
	return trials, nil
}

// judge asks a fold's child about its images.
type judge struct {
	*searching
	evaluator *runtime.Evaluator
	state     *artifact.State
	images    *data.Subset
}

// pixels says how the judging network normalises the images, to which nothing is
// done but what the chain does; nil where the chain normalises.
func (s *searching) pixels() (*artifact.Pixels, error) {
	chain, err := s.recipe.BuildAugment(s.data.Size)
	if err != nil {
		return nil, err
	}
	bytes, err := s.recipe.ByteImages(chain, nil)
	if !bytes || err != nil {
		return nil, err
	}
	return normalisation(chain), nil
}

// policyStep is the transform that follows a policy, with the defaults of
// autoaugment, as train will have it.
func policyStep(p policy.Policy) (pixel.Named, error) {
	o, err := pixel.Transforms.Defaults("autoaugment")
	if err != nil {
		return pixel.Named{}, err
	}
	return pixel.Named{Name: "autoaugment", Options: o.(*pixel.AutoAugmentOptions).WithPolicy(p)}, nil
}

// try changes the images by a policy, which may be nil, and by the recipe's own
// transforms, several times with other draws, and scores the best answers.
func (j judge) try(ctx context.Context, p policy.Policy) (SearchTrial, error) {
	begun := time.Now()
	var before []pixel.Named
	if p != nil {
		step, err := policyStep(p)
		if err != nil {
			return SearchTrial{}, err
		}
		before = append(before, step)
	}
	chain, err := j.recipe.BuildAugment(j.data.Size, before...)
	if err != nil {
		return SearchTrial{}, err
	}
	loader, err := data.NewLoader(ctx, j.images, data.LoaderOptions{Batch: min(evalBatch, j.images.Len()), Epochs: j.Draws, Chain: chain, Bytes: j.evaluator.TakesBytes(), Seed: j.recipe.Seed, Workers: j.recipe.Data.Workers})
	if err != nil {
		return SearchTrial{}, err
	}
	defer loader.Close()
	losses := make([]float64, j.images.Len())
	right := make([]bool, len(losses))
	for i := range losses {
		losses[i] = math.Inf(1)
	}
	at := 0
	err = j.evaluator.Each(j.state, batches(ctx, loader, nil), func(logits []float32, labels []int) error {
		classes := len(logits) / len(labels)
		for i, label := range labels {
			row := logits[i*classes : (i+1)*classes]
			n := (at + i) % len(losses)
			losses[n] = min(losses[n], runtime.CrossEntropy(row, label))
			right[n] = right[n] || largest(row) == label
		}
		at += len(labels)
		return nil
	})
	if err != nil {
		return SearchTrial{}, err
	}
	t := SearchTrial{Policy: p}
	for i, l := range losses {
		t.Loss += l / float64(len(losses))
		if right[i] {
			t.Accuracy += 1 / float64(len(losses))
		}
	}
	if math.IsNaN(t.Loss) || math.IsInf(t.Loss, 0) {
		return t, fmt.Errorf("the child's answers: %w", runtime.ErrNonFinite)
	}
	t.Seconds = time.Since(begun).Seconds()
	return t, nil
}
