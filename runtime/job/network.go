package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/weights"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// imported reports whether a recipe's network is an ONNX file.
func imported(r *recipe.Recipe) bool { return strings.EqualFold(filepath.Ext(r.Model.Name), ".onnx") }

// checkModel reports a mistake in the recipe's keys of the network.
func checkModel(r *recipe.Recipe) error {
	if imported(r) {
		if len(r.Model.Options) > 0 {
			return strict.Errorf("model.options", "an ONNX file has none")
		}
		return nil
	}
	if _, ok := models.Lookup(r.Model.Name); !ok {
		return strict.Errorf("model.name", "unknown model %q%s", r.Model.Name, nearest.Hint(r.Model.Name, models.Names()))
	}
	switch {
	case r.Model.Scratch:
		return strict.Errorf("model.scratch", "is for ONNX files; %s starts from new weights", r.Model.Name)
	case r.Model.Head != "":
		return strict.Errorf("model.head", "is for ONNX files")
	}
	return nil
}

// openSource reads the ONNX file that a recipe trains; nil for a network of the
// zoo. A run that goes on reads the copy it keeps.
func openSource(r *recipe.Recipe, run string) (*importer.Source, error) {
	if !imported(r) {
		return nil, nil
	}
	path := r.Model.Name
	if run != "" {
		path = filepath.Join(run, ArtifactsDir, artifact.SourceFile)
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, strict.Errorf("model.name", "there is no file %s", path)
	}
	s, err := importer.Open(path, importer.Options{Head: r.Model.Head})
	if err != nil {
		return nil, err
	}
	s.Name = strings.TrimSuffix(filepath.Base(r.Model.Name), filepath.Ext(r.Model.Name))
	return s, nil
}

// resolve completes and checks a recipe and opens the ONNX file that it trains;
// source is nil for a network of the zoo. run is the folder of a run that goes
// on, else empty. r is not changed.
func resolve(r *recipe.Recipe, run string) (resolved *recipe.Recipe, source *importer.Source, err error) {
	if source, err = openSource(r, run); err != nil {
		return nil, nil, err
	}
	said := *r
	if err := fromSource(&said, source); err != nil {
		return nil, nil, err
	}
	if resolved, err = said.Resolve(); err != nil {
		return nil, nil, err
	}
	return resolved, source, checkNames(resolved)
}

// fromSource lets an imported file say what the recipe does not: how images are
// normalised, and, where data come in any size, how large they are.
func fromSource(r *recipe.Recipe, s *importer.Source) error {
	if s == nil {
		return nil
	}
	info, err := runtime.ParseModelInfo(s.Metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Model.Name, err)
	}
	if info.Mean != nil && len(r.Data.Mean) == 0 && len(r.Data.Std) == 0 {
		r.Data.Mean, r.Data.Std = widen(info.Mean), widen(info.Std)
	}
	if set, err := data.Lookup(r.Data.Name); err == nil && set.Varying() && r.Data.Size == 0 {
		r.Data.Size = max(s.Input[1], info.InputSize[1])
	}
	return nil
}

// specification completes Spec by the imported network and by what the recipe
// freezes. source is openSource's.
func specification(r *recipe.Recipe, d *data.Dataset, source *importer.Source) (artifact.Spec, error) {
	s := Spec(r, d)
	s.FreezeNorms, s.LayerDecay = r.Model.FreezeNorms, r.Model.LayerDecay
	if source != nil {
		s.Model = source.Name
		file, err := source.Encode()
		if err != nil {
			return s, fmt.Errorf("%s: %w", r.Model.Name, err)
		}
		s.Import = &artifact.Import{Network: source.Model(), File: file, Head: r.Model.Head}
	}
	if len(r.Model.Freeze) == 0 {
		return s, nil
	}
	model, err := s.Network()
	if err != nil {
		return s, err
	}
	cfg, err := model.Resolve(s.Config)
	if err != nil {
		return s, err
	}
	var names []string
	for _, t := range model.Layout(cfg, s.Batch).Params {
		names = append(names, t.Name)
	}
	s.Freeze, err = frozen(r.Model.Freeze, names)
	return s, err
}

// frozen compiles patterns in which * stands for any characters. One that fits
// no parameter is a mistake.
func frozen(patterns, names []string) (func(name string) bool, error) {
	var tests []*regexp.Regexp
	for i, p := range patterns {
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
		found := false
		for _, n := range names {
			found = found || re.MatchString(n)
		}
		if !found {
			return nil, strict.Errorf(fmt.Sprintf("model.freeze.%d", i), "no parameter is named %q%s; ortrain inspect lists them",
				p, nearest.Hint(strings.Trim(p, "*."), names))
		}
		tests = append(tests, re)
	}
	return func(name string) bool {
		for _, re := range tests {
			if re.MatchString(name) {
				return true
			}
		}
		return false
	}, nil
}

// sourceWeights are the tensors of an imported file that a run starts from: all
// of them, or, from scratch, those that no rule fills.
func sourceWeights(s *importer.Source, c models.Config, scratch bool) ([]*weights.Tensor, error) {
	list, err := s.Weights(c)
	if err != nil {
		return nil, err
	}
	var ts []*weights.Tensor
	for _, w := range list {
		if scratch && !w.Fixed {
			continue
		}
		values, err := w.Float32s()
		if err != nil {
			return nil, err
		}
		ts = append(ts, weights.Float32(w.Name, w.Shape, values))
	}
	return ts, nil
}

// initialState is what a new run starts from; nil for the manifest's own
// values. note receives a line about what was found.
func initialState(r *recipe.Recipe, m *artifact.Manifest, source *importer.Source, note func(string)) (*artifact.State, error) {
	state := m.InitialState()
	filled := false
	if source != nil {
		ts, err := sourceWeights(source, models.Config{Classes: m.Model.Classes, Input: m.Model.Input}, r.Model.Scratch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Model.Name, err)
		}
		report := weights.Fill(m, state, ts)
		filled = true
		switch {
		case r.Model.Scratch:
			note(fmt.Sprintf("%s trains from new weights", r.Model.Name))
		case len(report.Mismatched) > 0:
			note(fmt.Sprintf("%s: a new head of %d classes in place of %d", r.Model.Name, m.Model.Classes, source.Classes))
		}
	}
	if r.Model.Weights != "" {
		report, err := startFrom(m, state, r.Model.Weights, r.Model.Partial)
		if err != nil {
			return nil, err
		}
		note(fmt.Sprintf("starting from %s: %s", r.Model.Weights, report))
		filled = true
	}
	if !filled {
		return nil, nil
	}
	return state, nil
}
