package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FolderVariable is the environment variable that names the folder of data folders.
const FolderVariable = "ORTRAIN_DATA"

// find returns the paths of the named files. Each name may be a glob pattern
// and may lack the ending .gz. With a dir they must be there, or in one of
// the data set's usual folders below it. Without one they are looked for in
// the working directory (only if explicit, that is, not the usual names) and
// in the usual places.
func (d *Definition) find(dir string, names []string, explicit bool) ([]string, error) {
	places := d.places(dir, explicit)
	// All files come from one place: the first that has the first file.
	for _, place := range places {
		if len(match(place, names[0])) == 0 {
			continue
		}
		var files []string
		for _, name := range names {
			found := match(place, name)
			if len(found) == 0 {
				return nil, fmt.Errorf("%s: no such file, needed for %s; add it or name the files with data.train_files and data.test_files",
					filepath.Join(place, name), d.Name)
			}
			for _, f := range found {
				if !slices.Contains(files, f) {
					files = append(files, f)
				}
			}
		}
		return files, nil
	}
	if dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("data folder of %s: %w; give the folder that holds %s as data.dir", d.Name, err, names[0])
		}
		return nil, fmt.Errorf("%s: no such file, needed for %s; put it there or give another folder as data.dir", filepath.Join(dir, names[0]), d.Name)
	}
	return nil, fmt.Errorf("%s: %s not found in %s; get them with 'ortrain data get %s', put the files there, or give their folder as data.dir (--data-dir)",
		d.Name, names[0], strings.Join(places, ", "), d.Name)
}

// match returns the files in a folder that a name means, sorted; more than
// one only for a pattern.
func match(dir, name string) []string {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	for _, candidate := range []string{path, path + ".gz"} {
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() {
			return []string{candidate}
		}
	}
	// The folder may hold characters that mean something in a pattern, so
	// only the last part of the path is matched.
	folder, pattern := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(folder))
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		if ok, err := filepath.Match(pattern, e.Name()); err == nil && ok && !e.IsDir() {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found
}

// places returns the folders to look in, best first.
func (d *Definition) places(dir string, explicit bool) []string {
	var places []string
	below := func(root string) {
		for _, f := range d.Folders {
			places = append(places, filepath.Join(root, filepath.FromSlash(f)))
		}
	}
	if dir != "" {
		places = append(places, dir)
		below(dir)
		return places
	}
	if explicit {
		places = append(places, ".")
	}
	if root := os.Getenv(FolderVariable); root != "" {
		below(root)
	}
	below("datasets")
	if cache, err := os.UserCacheDir(); err == nil {
		below(filepath.Join(cache, "ortrain", "datasets"))
	}
	if d.Elsewhere != nil {
		places = append(places, d.Elsewhere()...)
	}
	return places
}
