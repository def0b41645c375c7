package data

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/sampling"
)

// epochImages returns the images of each batch of a loader's only epoch.
func epochImages(t *testing.T, set *Subset, opt LoaderOptions) [][]int {
	t.Helper()
	opt.Chain, opt.Workers = chain(t, rgb), 2
	l := start(t, set, opt)
	defer l.Close()
	var out [][]int
	for range l.StepsPerEpoch() {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(b.Indices))
		b.Release()
	}
	return out
}

// The processes of a distributed run show together exactly what one process
// with all their batches shows, in training and in evaluation.
func TestProcessesShareAnEpoch(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for range 60 {
		batch, world, repeats := 1+r.IntN(7), 1+r.IntN(5), 1
		set := Whole(images(t, rgb, batch*world+r.IntN(90)))
		train := r.IntN(2) == 0
		if train && batch%2 == 0 {
			repeats = 2
		}
		seed := r.Uint64()
		name := fmt.Sprintf("%d images, batch %d, %d processes, training %v, %d times", set.Len(), batch, world, train, repeats)
		alone := epochImages(t, set, LoaderOptions{Batch: batch, Train: train, Seed: seed, Repeats: repeats})
		together := make([][]int, len(alone)+world)
		most, least := 0, len(alone)
		for rank := range world {
			mine := epochImages(t, set, LoaderOptions{Batch: batch, Train: train, Seed: seed, Repeats: repeats, Rank: rank, World: world})
			most, least = max(most, len(mine)), min(least, len(mine))
			for i, b := range mine {
				if at := i*world + rank; at >= len(alone) || together[at] != nil {
					t.Fatalf("%s: process %d has a batch too many", name, rank)
				} else {
					together[at] = b
				}
			}
		}
		whole := len(alone)
		if train {
			whole = len(alone) / world * world // the incomplete last step is dropped
			if most != least {
				t.Fatalf("%s: one process takes %d steps, another %d", name, least, most)
			}
		}
		for i := range whole {
			if !slices.Equal(together[i], alone[i]) {
				t.Fatalf("%s: batch %d shows %v, alone %v", name, i, together[i], alone[i])
			}
		}
		if !train {
			seen := make([]int, set.Len())
			for _, b := range together {
				for _, i := range b {
					seen[i]++
				}
			}
			if slices.Min(seen) != 1 || slices.Max(seen) != 1 {
				t.Fatalf("%s: an image was shown %d times, another %d", name, slices.Min(seen), slices.Max(seen))
			}
		}
	}
	for _, opt := range []LoaderOptions{{Batch: 4, Rank: 2, World: 2}, {Batch: 4, Rank: -1, World: 2}, {Batch: 8, World: 3, Train: true}} {
		opt.Chain = chain(t, rgb)
		if l, err := NewLoader(t.Context(), Whole(images(t, rgb, 20)), opt); err == nil {
			l.Close()
			t.Errorf("%+v was accepted", opt)
		}
	}
}

// With every sampling, repeated augmentation and mixing, the processes of a
// distributed run make together, to the last bit, the batches that one process
// makes; and so does each that begins in the middle of an epoch.
func TestProcessesShareARun(t *testing.T) {
	set := Whole(images(t, rgb, 83))
	info := sampling.Info{Len: 83, Classes: 3, Label: set.Label}
	for name, options := range map[string]sampling.Options{
		"shuffle": nil, "class_balanced": &sampling.ClassBalancedOptions{}, "weighted": &sampling.WeightedOptions{Weights: []float64{1, 0, 5}}, "evaluation": nil,
	} {
		for world := 2; world <= 4; world++ {
			opt := byteOptions(t) // repeats every image and mixes
			if opt.Train = name != "evaluation"; !opt.Train {
				opt.Mix, opt.Repeats = nil, 0
			}
			if options != nil {
				var err error
				if opt.Sampling, err = options.Build(info); err != nil {
					t.Fatal(err)
				}
			}
			run := func(opt LoaderOptions) (all []string, perEpoch int) {
				l := start(t, set, opt)
				defer l.Close()
				for {
					b, err := l.Next(t.Context())
					if errors.Is(err, io.EOF) {
						return all, l.StepsPerEpoch()
					}
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, contents(b))
					b.Release()
				}
			}
			alone, perEpoch := run(opt)
			dealt := make([]bool, len(alone))
			for rank := range world {
				opt.Rank, opt.World = rank, world
				opt.Workers = 1 + rank
				opt.Start = Position{}
				mine, each := run(opt)
				for i, b := range mine {
					at := i/each*perEpoch + i%each*world + rank
					if dealt[at] || b != alone[at] {
						t.Fatalf("%s: batch %d of process %d of %d is not batch %d of one process", name, i, rank, world, at)
					}
					dealt[at] = true
				}
				for _, from := range []Position{{0, 1}, {1, 2}, {2, each - 1}} {
					opt.Start = from
					if rest, _ := run(opt); !slices.Equal(rest, mine[from.Epoch*each+from.Batch:]) {
						t.Errorf("%s: process %d of %d, resumed at %+v, makes other batches", name, rank, world, from)
					}
				}
			}
			for i, ok := range dealt {
				// Of a training epoch, the batches that do not make a step of all
				// processes are dropped.
				if dropped := opt.Train && i%perEpoch >= perEpoch/world*world; ok == dropped {
					t.Errorf("%s, %d processes: batch %d of epoch %d was made: %v", name, world, i%perEpoch, i/perEpoch, ok)
				}
			}
		}
	}
}

// Any sampling resumes in the middle of an epoch and does not depend on the
// number of workers.
func TestSamplingsResume(t *testing.T) {
	set := Whole(images(t, rgb, 60))
	info := sampling.Info{Len: 60, Classes: 3, Label: set.Label}
	weights := make([]float64, 60)
	s := rng.NewStream()
	for i := range weights {
		weights[i] = s.Float64()
	}
	byImage, err := sampling.NewByImage(weights)
	if err != nil {
		t.Fatal(err)
	}
	samplings := map[string]sampling.Sampling{"by image": byImage}
	for name, o := range map[string]sampling.Options{
		"class_balanced": &sampling.ClassBalancedOptions{}, "weighted": &sampling.WeightedOptions{Weights: []float64{1, 0, 5}}} {
		if samplings[name], err = o.Build(info); err != nil {
			t.Fatal(err)
		}
	}
	for name, sample := range samplings {
		t.Run(name, func(t *testing.T) {
			options := func(t testing.TB) LoaderOptions {
				opt := trainOptions(t)
				opt.Sampling = sample
				return opt
			}
			opt := options(t)
			all := drain(t, start(t, set, opt))
			perEpoch := len(all) / opt.Epochs
			opt.Start, opt.Workers = Position{Epoch: 1, Batch: 2}, 5
			if rest := drain(t, start(t, set, opt)); !slices.Equal(rest, all[perEpoch+2:]) {
				t.Error("resumed in the middle of an epoch, other batches come")
			}
		})
	}
}
