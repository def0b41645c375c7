package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/data/folder"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// imagenetteFolders are the WordNet numbers of Imagenette's classes, sorted as
// its folders are, and so as Classes.
var imagenetteFolders = []string{
	"n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
	"n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
}

func init() {
	registerFormat(Definition{
		Name:    "imagenette",
		Summary: "13,394 photographs of 10 classes that are easily told apart, from ImageNet",
		Classes: []string{
			"tench", "English springer", "cassette player", "chain saw", "church",
			"French horn", "garbage truck", "gas pump", "golf ball", "parachute",
		},
		Size:       pixel.Size{W: 160, H: 160, C: 3},
		TrainFiles: []string{"train/CLASS/*.JPEG"},
		TestFiles:  []string{"val/CLASS/*.JPEG"},
		Folders:    []string{"imagenette2-160", "imagenette2-320", "imagenette2", "imagenette"},
		Index:      indexImagenette,
	})
}

// indexImagenette is an image folder in a usual place whose classes have names.
func indexImagenette(d *Definition, o Options) (*Parts, error) {
	places := d.places(o.Dir, false)
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, "train")); err != nil {
			continue
		}
		o.Dir = place
		if o.Size == 0 {
			o.Size = d.Size.W
		}
		found, err := folder.Classes(filepath.Join(place, "train"))
		if err != nil {
			return nil, err
		}
		if !slices.Equal(found, imagenetteFolders) {
			return nil, fmt.Errorf("%s: its folders are not those of Imagenette's classes; open it with --data folder", filepath.Join(place, "train"))
		}
		parts, err := indexFolder(d, o)
		if err != nil {
			return nil, err
		}
		for _, p := range []*Subset{parts.Train, parts.Validation, parts.Test} {
			if p != nil {
				p.Source.(*fileSource).classes = d.Classes
			}
		}
		return parts, nil
	}
	return nil, fmt.Errorf("%s: train not found in %v; get it with 'ortrain data get imagenette' or give its folder as data.dir (--data-dir)", d.Name, places)
}
