package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// PreviewConfig says which training batches to show.
type PreviewConfig struct {
	// Recipe is resolved by Preview; it is not changed.
	Recipe *recipe.Recipe
	// Out is the PNG file to write.
	Out string
	// Batches is the number of batches to show (0: 1), from the beginning of
	// Epoch on, which counts from 0.
	Batches, Epoch int
	// Images is the largest number of images of a batch to show; 0 means 32.
	Images int
}

// PreviewResult describes a contact sheet.
type PreviewResult struct {
	Batches []PreviewBatch `json:"batches"`
	// Width and Height are those of the picture.
	Width  int `json:"width"`
	Height int `json:"height"`
}

// PreviewBatch is one batch of a contact sheet.
type PreviewBatch struct {
	Epoch int `json:"epoch"` // from 0
	Index int `json:"index"` // within the epoch, from 0
	// Mixed names the trick that mixed it, if one did.
	Mixed string `json:"mixed,omitempty"`
	// Shown of Images images are on the sheet.
	Shown  int `json:"shown"`
	Images int `json:"images"`
}

// Preview draws a contact sheet of a recipe's training batches, as the network
// gets them, but for the normalisation, which is undone. The soft targets
// stand under each image.
func Preview(ctx context.Context, c PreviewConfig) (*PreviewResult, error) {
	if c.Recipe == nil {
		return nil, errors.New("no recipe given")
	}
	c.Batches, c.Images = cmp.Or(c.Batches, 1), cmp.Or(c.Images, 32)
	if c.Batches < 1 || c.Batches > 1000 || c.Images < 1 || c.Images > 10000 {
		return nil, fmt.Errorf("a preview of %d batches, %d images of each: give 1 to 1000 batches of 1 to 10000 images", c.Batches, c.Images)
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	if c.Epoch < 0 || c.Epoch >= r.Epochs {
		return nil, fmt.Errorf("there is no epoch %d to show: the run has %d", c.Epoch+1, r.Epochs)
	}
	d, err := openData(ctx, r)
	if err != nil {
		return nil, err
	}
	chain, err := r.BuildAugment(d.Size)
	if err != nil {
		return nil, err
	}
	loader, err := data.NewTrainLoader(ctx, d, r, data.Position{Epoch: c.Epoch})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	if left := (r.Epochs - c.Epoch) * loader.StepsPerEpoch(); c.Batches > left {
		return nil, fmt.Errorf("the run has only %d batches from epoch %d on, not %d; ask for fewer", left, c.Epoch+1, c.Batches)
	}
	res := &PreviewResult{}
	s := sheet{title: fmt.Sprintf("Training batches of %s, batch %d", d.Name, r.Batch)}
	for range c.Batches {
		b, err := loader.Next(ctx)
		if err != nil {
			return nil, err
		}
		shown := min(c.Images, b.Count)
		s.bands = append(s.bands, previewBand(b, shown, chain.Out(), d.Classes, r))
		res.Batches = append(res.Batches, PreviewBatch{Epoch: b.Epoch, Index: b.Index, Mixed: b.Mixed, Shown: shown, Images: b.Count})
		b.Release()
	}
	var size image.Point
	size, err = s.store(c.Out)
	res.Width, res.Height = size.X, size.Y
	return res, err
}

// previewBand shows the first images of a batch.
func previewBand(b *data.Batch, shown int, size pixel.Size, classes []string, r *recipe.Recipe) band {
	mixed := "not mixed"
	if b.Mixed != "" {
		mixed = "mixed by " + b.Mixed
	}
	out := band{heading: fmt.Sprintf("Epoch %d, batch %d", b.Epoch+1, b.Index+1), remark: mixed}
	if shown < b.Count {
		out.remark += fmt.Sprintf("; %d of %d images", shown, b.Count)
	}
	n, k, images := size.Elements(), len(classes), b.Normalised()
	for i := range shown {
		out.pictures = append(out.pictures, picture{
			img:   denormalise(images[i*n:(i+1)*n], size, r.Data.Mean, r.Data.Std, enlargement(size)),
			lines: targetLines(b.Targets[i*k:(i+1)*k], classes),
		})
	}
	return out
}

// targetLines says a soft target in a few lines, largest share first: "cat .7".
// Shares that are small and many, as label smoothing gives, make one line.
func targetLines(row []float32, classes []string) []string {
	order := make([]int, len(row))
	var sum float64
	for i, v := range row {
		order[i] = i
		sum += float64(v)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
	const most = 4 // RICAP mixes so many
	var lines []string
	rest := sum
	for _, i := range order[:min(most, len(order))] {
		v := float64(row[i])
		if v < 0.005 || len(lines) > 0 && v < 0.03*sum {
			break
		}
		lines = append(lines, classes[i]+" "+share2(v))
		rest -= v
	}
	if rest > 0.005 {
		lines = append(lines, "others "+share2(rest))
	}
	return lines
}

// share2 writes a share with two digits and no idle zeros: ".7", ".25", "1".
func share2(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "" || s == "0" {
		return "0"
	}
	return strings.TrimPrefix(s, "0")
}
