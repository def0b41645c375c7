package main

import (
	"context"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// combine puts the best rows together, greedily: of each kind of trick the row
// with the lowest validation error, if it is below the baseline's; the best of
// them first, then one after the other, each kept if the mean validation error
// falls. The test images take no part in the choice.
func (l *log) combine(ctx context.Context) error {
	for {
		_, tried := l.combinations()
		if len(tried) == 0 || len(l.of(tried[len(tried)-1])) == l.config.Seeds {
			return nil
		}
		if err := l.train(ctx, tried[len(tried)-1:]); err != nil {
			return err
		}
	}
}

// combinations returns the combination that is best so far, and those that
// were or are to be tried, in order. Only the last may lack runs; when none
// does, all is done.
func (l *log) combinations() (best row, tried []row) {
	all := l.config.rows()
	if len(l.of(all[0])) == 0 {
		return all[0], nil
	}
	base := l.validation(all[0])
	winners := map[string]row{}
	for _, r := range all[1:] {
		if r.alone || len(l.of(r)) < l.config.Seeds || l.validation(r) >= base {
			continue
		}
		k := string(r.kind())
		if w, ok := winners[k]; !ok || l.validation(r) < l.validation(w) {
			winners[k] = r
		}
	}
	var order []row
	for _, r := range winners {
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b row) int {
		if x, y := l.validation(a), l.validation(b); x != y {
			if x < y {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	if len(order) == 0 {
		return all[0], nil
	}
	best = order[0]
	for _, r := range order[1:] {
		try := join(best, r)
		tried = append(tried, try)
		if len(l.of(try)) < l.config.Seeds {
			return best, tried
		}
		if l.validation(try) < l.validation(best) {
			best = try
		}
	}
	return best, tried
}

// join puts two rows of different kinds together. An optimizer has the last
// word, as the learning rate is its own.
func join(a, b row) row {
	out := row{name: a.name + " + " + b.name, augment: a.augment, alone: true}
	if b.augment != nil {
		out.augment = b.augment
	}
	if slices.ContainsFunc(a.settings, func(s string) bool { return strings.HasPrefix(s, "optimizer.name=") }) {
		a, b = b, a
	}
	out.settings = append(slices.Clone(a.settings), b.settings...)
	return out
}

// validation is a row's mean validation error.
func (l *log) validation(r row) float64 {
	var list []float64
	for _, one := range l.of(r) {
		list = append(list, one.validationError)
	}
	return stat.Mean(list, nil)
}
