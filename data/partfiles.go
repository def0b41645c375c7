package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// partFiles are the files of a format, by the part of the set they hold.
type partFiles struct{ train, validation, test []string }

// The words in a file's or a folder's name that tell its part.
var partWords = map[string]string{
	"train": "train", "training": "train",
	"val": "validation", "valid": "validation", "validation": "validation",
	"test": "test", "testing": "test",
}

// findParts returns the files with an ending that the options mean: the files
// they name, or those in the data folder (which may be a file) and its folders
// train, val, test and data, sorted into parts by the words in their names.
// Files without such a word are training files if no others are.
func findParts(format, ending string, o Options) (partFiles, error) {
	var p partFiles
	if o.Dir == "" && len(o.TrainFiles) == 0 {
		return p, fmt.Errorf("%s: give the folder of the files as data.dir (--data-dir)", format)
	}
	if len(o.TrainFiles) == 0 || len(o.TestFiles) == 0 && o.Dir != "" {
		if err := p.discover(format, ending, o.Dir); err != nil && len(o.TrainFiles) == 0 {
			return p, err
		}
	}
	if len(o.TrainFiles) > 0 {
		// Whoever names the training files means no others.
		p = partFiles{}
		var err error
		if p.train, err = expand(format, o.Dir, o.TrainFiles); err != nil {
			return p, err
		}
	}
	if len(o.TestFiles) > 0 {
		var err error
		if p.test, err = expand(format, o.Dir, o.TestFiles); err != nil {
			return p, err
		}
	}
	return p, nil
}

// expand returns the files that names and patterns mean.
func expand(format, dir string, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		found := match(dir, name)
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no such file, needed for %s", filepath.Join(dir, name), format)
		}
		for _, f := range found {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func (p *partFiles) discover(format, ending, root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		p.train = []string{root}
		return nil
	}
	var rest []string
	// look sorts a folder's files; part is what the folder's own name says.
	var look func(dir, part string, depth int) error
	look = func(dir, part string, depth int) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			if strings.HasPrefix(name, ".") {
				continue
			}
			path := filepath.Join(dir, name)
			// A link that leads nowhere is a file that cannot be read.
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				if w := partWords[strings.ToLower(name)]; depth < 2 && (w != "" || name == "data") {
					if err := look(path, w, depth+1); err != nil {
						return err
					}
				}
				continue
			}
			if !strings.EqualFold(filepath.Ext(name), ending) {
				continue
			}
			w := part
			if w == "" {
				w = partOf(name)
			}
			switch w {
			case "train":
				p.train = append(p.train, path)
			case "validation":
				p.validation = append(p.validation, path)
			case "test":
				p.test = append(p.test, path)
			default:
				rest = append(rest, path)
			}
		}
		return nil
	}
	if err := look(root, "", 0); err != nil {
		return err
	}
	if len(p.train) == 0 {
		p.train = rest
	}
	if len(p.train) == 0 {
		return fmt.Errorf("%s holds no training files of %s (*%s); give another folder as data.dir or name them with data.train_files", root, format, ending)
	}
	if len(p.test) == 0 {
		p.test, p.validation = p.validation, nil
	}
	return nil
}

// partOf finds the word that tells a file's part in its name.
func partOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, w := range words {
		if p := partWords[w]; p != "" {
			return p
		}
	}
	return ""
}

// holds returns a detector's test for files with an ending in a folder or in
// its folders train and data.
func holds(ending string) func(string, []string) bool {
	return func(path string, entries []string) bool {
		if entries == nil {
			return strings.EqualFold(filepath.Ext(path), ending)
		}
		has := func(names []string) bool {
			return slices.ContainsFunc(names, func(n string) bool {
				return strings.EqualFold(filepath.Ext(n), ending) && !strings.HasPrefix(n, ".")
			})
		}
		if has(entries) {
			return true
		}
		for _, sub := range []string{"data", "train", "training"} {
			list, err := os.ReadDir(filepath.Join(path, sub))
			if err != nil {
				continue
			}
			var names []string
			for _, e := range list {
				names = append(names, e.Name())
			}
			if has(names) {
				return true
			}
		}
		return false
	}
}
