// Package search looks for good values of many settings at once, and for
// augmentation policies in particular.
package search

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/ortrain/ortrain/tricks/rng"
)

// Dimension is one setting: a choice among Choices, numbered from 0, or, if
// Choices is 0, a number from Low to High.
type Dimension struct {
	Choices   int
	Low, High float64
}

// Trial is a point, a value for each dimension, and how bad it is.
type Trial struct {
	Values []float64
	Loss   float64
}

// TPE is the tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kégl
// 2011, "Algorithms for Hyper-Parameter Optimization", §4), with the settings
// of its authors' hyperopt: the trials are split into a few good ones and the
// rest, a density is fitted to either, dimension by dimension, and the next
// point is, of some draws from the good ones' density, the one at which it is
// the largest multiple of the other.
type TPE struct {
	Dimensions []Dimension
	// Seed determines every draw, with the number of the trial.
	Seed uint64
	// Startup is the number of trials that are random; 0 means 20.
	Startup int
	// Draws is the number of draws of which the best is taken; 0 means 24.
	Draws int
}

const (
	goodShare = 0.25 // the good trials are this times √n
	mostGood  = 25
	// remembered trials count fully; the older ones the less.
	remembered = 25
)

var tpeKey = rng.NewKey("tpe")

// Suggest returns the point to be tried after the trials so far, in their
// order. It is a function of the trials and the seed alone, so that a search
// can go on from its record.
func (t TPE) Suggest(trials []Trial) []float64 {
	s := rng.NewStream()
	s.Reset(t.Seed, 0, len(trials), tpeKey)
	point := make([]float64, len(t.Dimensions))
	if len(trials) < cmp.Or(t.Startup, 20) {
		for i, d := range t.Dimensions {
			point[i] = d.random(s)
		}
		return point
	}
	order := make([]int, len(trials))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(trials[a].Loss, trials[b].Loss) })
	n := min(int(math.Ceil(goodShare*math.Sqrt(float64(len(trials))))), mostGood)
	good := make([]bool, len(trials))
	for _, i := range order[:n] {
		good[i] = true
	}
	for i, d := range t.Dimensions {
		var below, above []float64
		for j, trial := range trials {
			if good[j] {
				below = append(below, trial.Values[i])
			} else {
				above = append(above, trial.Values[i])
			}
		}
		l, g := d.estimate(below), d.estimate(above)
		best := math.Inf(-1)
		for range cmp.Or(t.Draws, 24) {
			x := l.draw(s)
			if gain := l.logDensity(x) - g.logDensity(x); gain > best {
				best, point[i] = gain, x
			}
		}
	}
	return point
}

func (d Dimension) random(s *rng.Stream) float64 {
	if d.Choices > 0 {
		return float64(s.IntN(d.Choices))
	}
	return d.Low + s.Float64()*(d.High-d.Low)
}

// density is an estimate of where values lie.
type density interface {
	draw(*rng.Stream) float64
	logDensity(x float64) float64
}

// estimate fits a density to values in the order of their trials, with a prior
// that counts as one of them.
func (d Dimension) estimate(values []float64) density {
	weights := forgetting(len(values))
	if d.Choices > 0 {
		c := make(choices, d.Choices)
		total := float64(d.Choices)
		for i := range c {
			c[i] = 1
		}
		for i, v := range values {
			c[int(v)] += weights[i]
			total += weights[i]
		}
		for i := range c {
			c[i] /= total
		}
		return c
	}
	return d.parzen(values, weights)
}

// forgetting returns the weights of n values: 1 for the newest, down to 1/n
// for the oldest.
func forgetting(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
		if old := n - remembered; i < old {
			w[i] = 1 / float64(n)
			if old > 1 {
				w[i] += (1 - 1/float64(n)) * float64(i) / float64(old-1)
			}
		}
	}
	return w
}

// choices are the probabilities of a categorical density.
type choices []float64

func (c choices) draw(s *rng.Stream) float64 {
	u := s.Float64()
	for i, p := range c {
		if u -= p; u < 0 {
			return float64(i)
		}
	}
	return float64(len(c) - 1)
}

func (c choices) logDensity(x float64) float64 { return math.Log(c[int(x)]) }

// kernel is a normal distribution with a weight.
type kernel struct {
	distuv.Normal
	weight float64
}

// parzen is a mixture of kernels, cut off at the bounds.
type parzen struct {
	low, high float64
	kernels   []kernel
	inside    float64 // the probability between the bounds
}

// parzen puts a kernel on each value, as wide as the larger gap to its
// neighbours, and the prior's in the middle, as wide as the range.
func (d Dimension) parzen(values, weights []float64) parzen {
	p := parzen{low: d.Low, high: d.High}
	width := d.High - d.Low
	prior := kernel{distuv.Normal{Mu: (d.Low + d.High) / 2, Sigma: width}, 1}
	for i, v := range values {
		p.kernels = append(p.kernels, kernel{distuv.Normal{Mu: v}, weights[i]})
	}
	p.kernels = append(p.kernels, prior)
	slices.SortStableFunc(p.kernels, func(a, b kernel) int { return cmp.Compare(a.Mu, b.Mu) })
	narrowest := width / min(100, float64(1+len(p.kernels)))
	total := 0.0
	for i := range p.kernels {
		k := &p.kernels[i]
		total += k.weight
		if k.Sigma > 0 {
			continue // the prior
		}
		gap := 0.0
		if i > 0 {
			gap = k.Mu - p.kernels[i-1].Mu
		}
		if i+1 < len(p.kernels) {
			gap = max(gap, p.kernels[i+1].Mu-k.Mu)
		}
		k.Sigma = min(max(gap, narrowest), width)
	}
	for i := range p.kernels {
		k := &p.kernels[i]
		k.weight /= total
		p.inside += k.weight * (k.CDF(p.high) - k.CDF(p.low))
	}
	return p
}

func (p parzen) draw(s *rng.Stream) float64 {
	for {
		u, k := s.Float64(), p.kernels[len(p.kernels)-1]
		for _, c := range p.kernels {
			if u -= c.weight; u < 0 {
				k = c
				break
			}
		}
		if x := k.Mu + k.Sigma*s.NormFloat64(); x >= p.low && x <= p.high {
			return x
		}
	}
}

func (p parzen) logDensity(x float64) float64 {
	sum := 0.0
	for _, k := range p.kernels {
		sum += k.weight * k.Prob(x)
	}
	return math.Log(sum / p.inside)
}
