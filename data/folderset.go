package data

import (
	"errors"

	"github.com/ortrain/ortrain/data/folder"
)

func init() {
	registerFormat(Definition{
		Name:    "folder",
		Summary: "image files of your own, a folder a class",
		Layout:  "train/CLASS/… and val/CLASS/… or test/CLASS/…, or CLASS/…",
		Index:   indexFolder,
	})
}

// indexFolder lists the files of an image folder. Nothing is decoded.
func indexFolder(d *Definition, o Options) (*Parts, error) {
	if o.Dir == "" {
		return nil, errors.New("folder: give the folder of the images as data.dir (--data-dir)")
	}
	layout, err := folder.Find(o.Dir)
	if err != nil {
		return nil, err
	}
	classes, err := folder.Classes(layout.Train)
	if err != nil {
		return nil, err
	}
	parts := &Parts{}
	for _, part := range []struct {
		dir  string
		into **Subset
	}{{layout.Train, &parts.Train}, {layout.Validation, &parts.Validation}, {layout.Test, &parts.Test}} {
		if part.dir == "" {
			continue
		}
		list, problems, err := folder.Scan(part.dir, classes)
		if err != nil {
			return nil, err
		}
		parts.Problems = append(parts.Problems, problems...)
		*part.into = Whole(&fileSource{list: list, classes: classes, size: o.side()})
	}
	return parts, nil
}
