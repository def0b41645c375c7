package data

import (
	_ "embed" // class names
	"strings"

	"github.com/ortrain/ortrain/data/cifar"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

//go:embed cifar100.txt
var cifar100Classes string

func init() {
	size := pixel.Size{W: cifar.Side, H: cifar.Side, C: 3}
	Register(Definition{
		Name:       "cifar10",
		Summary:    "60,000 colour photographs of 32×32 pixels in 10 classes",
		Classes:    []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		Size:       size,
		TrainFiles: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
		TestFiles:  []string{"test_batch.bin"},
		Folders:    []string{"cifar10", "cifar-10-batches-bin"},
		Mean:       []float64{0.4914, 0.4822, 0.4465},
		Std:        []float64{0.2470, 0.2435, 0.2616},
		Augment:    cropAndMirror(),
		Read:       readCIFAR(cifar.Ten),
	})
	Register(Definition{
		Name:       "cifar100",
		Summary:    "60,000 colour photographs of 32×32 pixels in 100 classes",
		Classes:    strings.Fields(cifar100Classes),
		Size:       size,
		TrainFiles: []string{"train.bin"},
		TestFiles:  []string{"test.bin"},
		Folders:    []string{"cifar100", "cifar-100-binary"},
		Mean:       []float64{0.5071, 0.4865, 0.4409},
		Std:        []float64{0.2673, 0.2564, 0.2762},
		Augment:    cropAndMirror(),
		Read:       readCIFAR(cifar.Hundred),
	})
}

// cropAndMirror is the standard augmentation of CIFAR (He et al. 2015, "Deep
// Residual Learning", §4.2).
func cropAndMirror() recipe.Augment {
	return recipe.Augment{{Name: "crop"}, {Name: "mirror"}}
}

func readCIFAR(f cifar.Format) func(*Definition, []string) (*Memory, error) {
	return func(d *Definition, files []string) (*Memory, error) {
		var r cifar.Records
		for _, path := range files {
			if err := r.ReadFile(path, f); err != nil {
				return nil, err
			}
		}
		return NewMemory(d.Size, d.Classes, r.Pix, r.Labels)
	}
}
