package job

import "cmp"

// runOrder compares two runs; those without the figure come last.
type runOrder struct {
	name    string
	compare func(a, b *RunSummary) int
}

var runOrders = []runOrder{
	{"name", func(a, b *RunSummary) int { return 0 }},
	{"best", descending(func(r *RunSummary) *float64 { return r.Best })},
	{"last", descending(func(r *RunSummary) *float64 { return r.Last })},
	{"loss", ascending(func(r *RunSummary) *float64 { return r.TrainLoss })},
	{"epochs", func(a, b *RunSummary) int { return b.Epochs - a.Epochs }},
	{"speed", descending(func(r *RunSummary) *float64 { return r.ImagesPerSecond })},
	{"time", func(a, b *RunSummary) int { return cmp.Compare(a.Seconds, b.Seconds) }},
	{"seed", func(a, b *RunSummary) int { return cmp.Compare(a.Seed, b.Seed) }},
	{"state", func(a, b *RunSummary) int { return cmp.Compare(a.State, b.State) }},
}

func ascending(figure func(*RunSummary) *float64) func(a, b *RunSummary) int {
	return func(a, b *RunSummary) int {
		x, y := figure(a), figure(b)
		switch {
		case x == nil && y == nil:
			return 0
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		return cmp.Compare(*x, *y)
	}
}

func descending(figure func(*RunSummary) *float64) func(a, b *RunSummary) int {
	return ascending(func(r *RunSummary) *float64 {
		v := figure(r)
		if v != nil {
			negative := -*v
			v = &negative
		}
		return v
	})
}

// RunOrders are the orders that runs can be sorted in.
func RunOrders() []string {
	var names []string
	for _, o := range runOrders {
		names = append(names, o.name)
	}
	return names
}
