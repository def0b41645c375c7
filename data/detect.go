package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// detector recognises a format by the names of a folder's entries, or by that
// of a single file.
type detector struct {
	format string
	// found tells whether a path, a folder's or a file's, is of the format;
	// entries are the names in the folder, nil for a file.
	found func(path string, entries []string) bool
}

// detectors are tried in order.
var detectors []detector

// Detect returns the format of the images at a path, and the path as the
// folder of its files. A name of the catalogue is returned as it is, with an
// empty folder.
func Detect(nameOrPath string) (name, dir string, err error) {
	if _, ok := catalogue[nameOrPath]; ok || !strings.ContainsAny(nameOrPath, `/\`) && nameOrPath != "." && nameOrPath != ".." {
		return nameOrPath, "", nil
	}
	info, err := os.Stat(nameOrPath)
	if err != nil {
		return "", "", err
	}
	var entries []string
	if info.IsDir() {
		list, err := os.ReadDir(nameOrPath)
		if err != nil {
			return "", "", err
		}
		entries = make([]string, 0, len(list))
		for _, e := range list {
			entries = append(entries, e.Name())
		}
	}
	for _, d := range detectors {
		if d.found(nameOrPath, entries) {
			return d.format, nameOrPath, nil
		}
	}
	var fitting []string
	for _, name := range Names() {
		if d := catalogue[name]; d.Read != nil && (slices.Contains(entries, d.TestFiles[0]) || slices.Contains(entries, d.TestFiles[0]+".gz")) {
			if slices.Contains(d.Folders, filepath.Base(nameOrPath)) {
				return name, nameOrPath, nil
			}
			fitting = append(fitting, name)
		}
	}
	switch len(fitting) {
	case 0:
	case 1:
		return fitting[0], nameOrPath, nil
	default:
		return "", "", fmt.Errorf("%s may be %s; say which with --data NAME, and the folder with --data-dir", nameOrPath, strings.Join(fitting, " or "))
	}
	if info.IsDir() {
		return "folder", nameOrPath, nil
	}
	return "", "", fmt.Errorf("%s is no data set that is known by its name; give its format with --data (see ortrain list datasets) and the folder with --data-dir", filepath.Clean(nameOrPath))
}
