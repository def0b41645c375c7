package data

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/vocabulary"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// written is what the sources of formats with written labels have in common.
// Its classes are set when all parts of the set are known.
type written struct {
	size    pixel.Size
	classes []string
	ids     files.Labels // the label of each image in the vocabulary
	class   []int        // of each label; vocabulary.Unknown for those of no class
}

func (l *written) Len() int          { return l.ids.Len() }
func (l *written) Size() pixel.Size  { return l.size }
func (l *written) Classes() []string { return l.classes }

// Label implements Source. Images of no class are in no subset.
func (l *written) Label(i int) int { return max(l.class[l.ids.At(i)], 0) }

// assembly puts the parts of a set with written labels together.
type assembly struct {
	words    vocabulary.Vocabulary
	training map[int]bool // labels of training images
	problems []files.Problem
}

func (a *assembly) problem(p files.Problem) { a.problems = append(a.problems, p) }

// add labels the next image of a source.
func (a *assembly) add(l *written, label string, training bool) {
	id := a.words.ID(label)
	if training {
		if a.training == nil {
			a.training = map[int]bool{}
		}
		a.training[id] = true
	}
	l.ids.Append(id)
}

// noLabel keeps the place of an image without a label, which no subset takes.
func (a *assembly) noLabel(l *written) { l.ids.Append(a.words.ID("")) }

// piece is one part's source.
type piece struct {
	source  Encoded
	written *written
	into    **Subset
}

// indexParts finds the files of a format and has each part's opened: open adds
// its images to the assembly and returns the part's source and, if the files
// name them, the classes. A list beside the files comes first, then what the
// training files say.
func indexParts(format, ending string, o Options, open func(paths []string, training bool, a *assembly) (piece, []string, error)) (*Parts, error) {
	found, err := findParts(format, ending, o)
	if err != nil {
		return nil, err
	}
	classes, err := readClasses(o.Dir)
	if err != nil {
		return nil, err
	}
	var a assembly
	var pieces []piece
	parts := &Parts{}
	for _, p := range []struct {
		paths []string
		into  **Subset
	}{{found.train, &parts.Train}, {found.validation, &parts.Validation}, {found.test, &parts.Test}} {
		if len(p.paths) == 0 {
			continue
		}
		training := p.into == &parts.Train
		opened, names, err := open(p.paths, training, &a)
		if err != nil {
			return nil, err
		}
		if training && classes == nil {
			classes = names
		}
		opened.into = p.into
		pieces = append(pieces, opened)
	}
	if err := a.finish(classes, pieces); err != nil {
		return nil, err
	}
	parts.Problems = a.problems
	return parts, nil
}

// finish gives all parts their classes, names the images whose class the
// training set lacks, and makes the subsets.
func (a *assembly) finish(given []string, pieces []piece) error {
	names, class, err := a.words.Classes(given, func(id int) bool { return a.training[id] && a.words.Label(id) != "" })
	if err != nil {
		return err
	}
	for _, p := range pieces {
		p.written.classes, p.written.class = names, class
		unknown := 0
		for i := range p.written.Len() {
			if class[p.written.ids.At(i)] != vocabulary.Unknown {
				continue
			}
			unknown++
			label := a.words.Label(p.written.ids.At(i))
			if label == "" {
				a.problem(files.Problem{Path: p.source.Name(i), Kind: files.NoLabel, Detail: "the image has no label; name another column as data.label_key, or other files as data.test_files"})
				continue
			}
			a.problem(files.Problem{Path: p.source.Name(i), Kind: files.UnknownClass, Detail: fmt.Sprintf("its class %q is none of the training images'", label)})
		}
		*p.into = known(p.source, p.written, unknown)
	}
	return nil
}

// known returns the subset of the images that have a class.
func known(s Source, l *written, unknown int) *Subset {
	if unknown == 0 {
		return Whole(s)
	}
	index := make([]uint32, 0, s.Len()-unknown)
	for i := range s.Len() {
		if l.class[l.ids.At(i)] != vocabulary.Unknown {
			index = append(index, uint32(i))
		}
	}
	return Some(s, index)
}

// ClassesFile is a list of class names, one a line, class 0 first, beside
// files whose labels are numbers.
const ClassesFile = "classes.txt"

// readClasses returns the names in a folder's ClassesFile; nil without one.
func readClasses(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, ClassesFile)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			break
		}
		name := strings.TrimSpace(lines.Text())
		if name == "" {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: the class %q is there twice", path, name)
		}
		seen[name] = true
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: holds no class names; write one a line or remove it", path)
	}
	return names, nil
}
