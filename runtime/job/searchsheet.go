package job

import (
	"fmt"
	"image"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/search"
)

// searchExamples is the number of images on which a search's sheet shows the
// sub-policies in turn.
const searchExamples = 10

// sheet draws what the sub-policies do when all of their steps are done, each to
// one of a few training images.
func (s *searching) sheet(res *SearchResult) error {
	plain, err := s.pictures(nil, searchExamples)
	if err != nil {
		return err
	}
	certain := make(policy.Policy, len(res.Policy))
	for i, sub := range res.Policy {
		for _, step := range sub {
			step.P = 1
			certain[i] = append(certain[i], step)
		}
	}
	out := sheet{title: fmt.Sprintf("The policy found for %s: %d sub-policies", s.data.Name, len(res.Policy)), columns: searchExamples}
	before, after := band{heading: "Training images", remark: "as they are"}, band{heading: "Sub-policies", remark: "all steps done; under each operation, probability, magnitude"}
	for _, img := range plain {
		before.pictures = append(before.pictures, picture{img: img})
	}
	for i := range certain {
		changed, err := s.pictures(certain[i:i+1], searchExamples)
		if err != nil {
			return err
		}
		p := picture{img: changed[i%len(changed)]}
		for _, step := range res.Policy[i] {
			name, numbers, _ := strings.Cut(search.SpellStep(step), " ")
			p.lines = append(p.lines, name, numbers)
		}
		after.pictures = append(after.pictures, p)
	}
	out.bands = []band{before, after}
	_, err = out.store(res.Picture)
	return err
}

// pictures are the first training images, changed by a policy.
func (s *searching) pictures(p policy.Policy, n int) ([]*image.RGBA, error) {
	var steps []pixel.Named
	if p != nil {
		step, err := policyStep(p)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	chain, err := pixel.NewChain(pixel.Info{In: s.data.Size, Mean: s.recipe.Data.Mean, Std: s.recipe.Data.Std}, steps...)
	if err != nil {
		return nil, err
	}
	shown, err := data.Render(s.data.Train.First(n), chain, s.recipe.Seed)
	if err != nil {
		return nil, err
	}
	var list []*image.RGBA
	for _, x := range shown {
		list = append(list, denormalise(x, s.data.Size, s.recipe.Data.Mean, s.recipe.Data.Std, enlargement(s.data.Size)))
	}
	return list, nil
}
