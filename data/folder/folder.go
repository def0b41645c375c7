// Package folder indexes image folders: a folder a class, named after it,
// with the class's images anywhere below.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/data/files"
)

// Layout says which folders of a root hold which part.
type Layout struct {
	// Train is the folder of the training images; the root itself when the set
	// is not divided.
	Train string
	// Validation and Test are empty where there is no such folder.
	Validation, Test string
}

// The usual names of the parts' folders, best first.
var (
	trainNames      = []string{"train", "training"}
	validationNames = []string{"val", "valid", "validation"}
	testNames       = []string{"test", "testing"}
)

// Find tells how a root is laid out. A set with only one of validation and
// test images has test images. It fails if the root holds no folders.
func Find(root string) (Layout, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return Layout{}, err
	}
	var folders []string
	for _, e := range entries {
		if !hidden(e.Name()) && isFolder(root, e) {
			folders = append(folders, e.Name())
		}
	}
	if len(folders) == 0 {
		return Layout{}, fmt.Errorf("%s holds no folders of images; there must be a folder for each class, or train and val (or test) with one for each class", root)
	}
	pick := func(names []string) string {
		for _, n := range names {
			if slices.Contains(folders, n) {
				return filepath.Join(root, n)
			}
		}
		return ""
	}
	l := Layout{Train: pick(trainNames), Validation: pick(validationNames), Test: pick(testNames)}
	if l.Train == "" {
		return Layout{Train: root}, nil
	}
	if l.Test != "" && !holdsFolders(l.Test) {
		l.Test = "" // images without classes, as of a competition
	}
	if l.Test == "" {
		l.Test, l.Validation = l.Validation, ""
	}
	return l, nil
}

func holdsFolders(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !hidden(e.Name()) && isFolder(dir, e) })
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// isFolder follows symbolic links.
func isFolder(dir string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// Classes returns the names of the class folders in a part's folder, sorted by
// bytes: class k is the k-th.
func Classes(part string) ([]string, error) {
	entries, err := os.ReadDir(part)
	if err != nil {
		return nil, err
	}
	var classes []string
	for _, e := range entries {
		if !hidden(e.Name()) && isFolder(part, e) {
			classes = append(classes, e.Name())
		}
	}
	slices.Sort(classes)
	if len(classes) == 0 {
		return nil, fmt.Errorf("%s holds no class folders; there must be one for each class", part)
	}
	return classes, nil
}

// Scan lists the images of a part's folder, class after class, each class's in
// the order of their paths. Labels are positions in classes, which is sorted.
// Hidden files, and files that are not named as images, are passed over.
// Symbolic links are followed. What cannot be listed, and class folders that
// are not among classes, are problems and left out.
func Scan(part string, classes []string) (*files.List, []files.Problem, error) {
	own, err := Classes(part)
	if err != nil {
		return nil, nil, err
	}
	s := &scanner{list: &files.List{}}
	s.links(part)
	root, err := os.Stat(part)
	if err != nil {
		return nil, nil, err
	}
	for _, class := range own {
		dir := filepath.Join(part, class)
		label, known := slices.BinarySearch(classes, class)
		if !known {
			s.problem(dir, files.UnknownClass, fmt.Sprintf("the training images have no class %q; remove the folder, or add training images", class))
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			s.unreadable(dir, err)
			continue
		}
		if os.SameFile(root, info) {
			s.loop(dir)
			continue
		}
		s.walk(dir, label, []fs.FileInfo{root, info})
	}
	return s.list, s.problems, nil
}

type scanner struct {
	list     *files.List
	problems []files.Problem
}

func (s *scanner) problem(path, kind, detail string) {
	s.problems = append(s.problems, files.Problem{Path: path, Kind: kind, Detail: detail})
}

func (s *scanner) unreadable(path string, err error) {
	if errors.Is(err, syscall.ELOOP) {
		s.loop(path)
		return
	}
	s.problem(path, files.Unreadable, "cannot be read: "+atomicfile.Cause(err).Error())
}

func (s *scanner) loop(path string) {
	s.problem(path, files.SymlinkLoop, "the symbolic link leads back to itself or to a folder above it; remove it")
}

// links reports the symbolic links in a part's folder that lead nowhere, which
// may have been meant as classes.
func (s *scanner) links(part string) {
	entries, err := os.ReadDir(part)
	if err != nil {
		return // Classes has read it before
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 || hidden(e.Name()) {
			continue
		}
		if _, err := os.Stat(filepath.Join(part, e.Name())); err != nil {
			s.unreadable(filepath.Join(part, e.Name()), err)
		}
	}
}

// walk lists a folder; above are the folders it lies in, itself last.
func (s *scanner) walk(dir string, label int, above []fs.FileInfo) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		s.unreadable(dir, err)
		return
	}
	var folders []string
	for _, e := range entries {
		name := e.Name()
		if hidden(name) {
			continue
		}
		kind := e.Type()
		if kind&fs.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				s.unreadable(filepath.Join(dir, name), err)
				continue
			}
			kind = info.Mode().Type()
		}
		switch {
		case kind.IsDir():
			folders = append(folders, name)
		case files.Format(name) == "":
		case !kind.IsRegular():
			s.problem(filepath.Join(dir, name), files.Unreadable, "is not a regular file")
		default:
			s.list.Add(dir, name, label)
		}
	}
	for _, name := range folders {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			s.unreadable(path, err)
			continue
		}
		if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
			s.loop(path)
			continue
		}
		s.walk(path, label, append(slices.Clip(above), info))
	}
}
