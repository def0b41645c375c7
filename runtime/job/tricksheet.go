package job

import (
	"errors"
	"fmt"
	"image"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// TrickSheetConfig says on which image to show the pixel tricks.
type TrickSheetConfig struct {
	// Recipe says the data set, the normalisation and the seed.
	Recipe *recipe.Recipe
	// Image is the number of the training image to show them on.
	Image int
	// Out is the PNG file to write.
	Out string
}

// TrickRow is a row of the sheet of tricks.
type TrickRow struct {
	Trick string `json:"trick"`
	// Over names the option that changes from left to right; empty for a row
	// of random draws.
	Over string `json:"over,omitempty"`
	// Problem says why the trick cannot be shown on this data.
	Problem string `json:"problem,omitempty"`
}

// sweepLength is the number of pictures of a row.
const sweepLength = 10

// TrickSheet draws every operation of the policies over its magnitudes and
// every pixel trick over its most telling option, or, where there is none, by
// random draws. All on one training image.
func TrickSheet(c TrickSheetConfig) ([]TrickRow, error) {
	if c.Recipe == nil {
		return nil, errors.New("no recipe given")
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	d, err := data.Open(data.FromRecipe(r))
	if err != nil {
		return nil, err
	}
	if c.Image < 0 || c.Image >= d.Train.Len() {
		return nil, fmt.Errorf("there is no training image %d: %s has 0 to %d", c.Image, d.Name, d.Train.Len()-1)
	}
	var img pixel.Image
	at := d.Train.At(c.Image)
	if err := d.Train.Source.Read(at, &img); err != nil {
		return nil, fmt.Errorf("image %d: %w", at, err)
	}
	var other pixel.Image
	next := d.Train.At((c.Image + 1) % d.Train.Len())
	if err := d.Train.Source.Read(next, &other); err != nil {
		return nil, fmt.Errorf("image %d: %w", next, err)
	}
	if other.Size != img.Size {
		fit := pixel.Image{}
		fit.Reset(img.Size)
		new(pil.Resizer).Resize(view(&fit), view(&other), pil.Crop{W: other.W, H: other.H}, pil.Bilinear)
		other = fit
	}
	t := trickSheet{recipe: r, img: &img, other: &other, factor: enlargement(d.Size)}
	t.title = fmt.Sprintf("Pixel tricks on training image %d of %s (%s)", c.Image, d.Name, d.Classes[d.Train.Label(c.Image)])
	t.columns = sweepLength
	t.operations()
	for _, name := range pixel.Transforms.Names() {
		t.trick(name)
	}
	_, err = t.store(c.Out)
	return t.rows, err
}

type trickSheet struct {
	sheet
	recipe *recipe.Recipe
	img    *pixel.Image
	other  *pixel.Image // the partner of SamplePairing
	factor int
	rows   []TrickRow
}

// operations shows the operations of the policies at magnitudes 0 to 9.
func (t *trickSheet) operations() {
	space := policy.Torchvision(t.img.W, t.img.H, sweepLength)
	src := view(t.img)
	flat := band{heading: "Operations without magnitude", remark: "of policies"}
	for _, op := range policy.Ops() {
		if !op.Graded() {
			flat.pictures = append(flat.pictures, picture{img: t.operation(src, op, 0), lines: []string{op.String()}})
			t.rows = append(t.rows, TrickRow{Trick: op.String()})
		}
	}
	t.bands = append(t.bands, flat)
	for _, op := range policy.Ops() {
		if !op.Graded() {
			continue
		}
		b := band{heading: op.String(), remark: "an operation of policies, magnitudes 0 to 9"}
		for m := range sweepLength {
			value := space.Value(op, float64(m), false)
			if op == policy.Cutout && space.Levels(op) == 1 {
				value = float64(2 * m * t.img.W / 32) // not among torchvision's
			}
			b.pictures = append(b.pictures, picture{
				img: t.operation(src, op, value), lines: []string{strconv.FormatFloat(value, 'g', 3, 64)}})
		}
		t.add(b, TrickRow{Trick: op.String(), Over: "magnitude"})
	}
}

// view is an image as package pil takes it.
func view(m *pixel.Image) pil.Image { return pil.Image{W: m.W, H: m.H, C: m.C, Pix: m.Pix} }

// operation carries an operation of the policies out.
func (t *trickSheet) operation(src pil.Image, op policy.Op, value float64) *image.RGBA {
	dst := pil.Image{W: src.W, H: src.H, C: src.C, Pix: make([]uint8, len(src.Pix))}
	policy.Painter{Partner: view(t.other)}.Apply(dst, src, op, value, src.W/2, src.H/2)
	return t.eightBit(dst)
}

func (t *trickSheet) add(b band, row TrickRow) {
	t.bands, t.rows = append(t.bands, b), append(t.rows, row)
}

// eightBit shows 8-bit pixels.
func (t *trickSheet) eightBit(p pil.Image) *image.RGBA {
	planes := make([]float32, len(p.Pix))
	for i, v := range p.Pix {
		planes[i%p.C*p.W*p.H+i/p.C] = float32(v) / 255
	}
	return denormalise(planes, pixel.Size{W: p.W, H: p.H, C: p.C}, []float64{0, 0, 0}, []float64{1, 1, 1}, t.factor)
}

// trick shows one pixel trick.
func (t *trickSheet) trick(name string) {
	s, swept := sweeps[name]
	row, b := TrickRow{Trick: name, Over: s.key}, band{heading: name, remark: "over " + s.key}
	if !swept {
		b.remark = "random draws"
	}
	for i := range sweepLength {
		options, index := maps.Clone(draws[name]), i
		line := ""
		if swept {
			// The same draws in the whole row: only the option changes.
			options, index = s.options(i, t.img.W), 0
			line = fmt.Sprint(options[s.option()])
		}
		img, err := t.apply(name, options, index)
		if err != nil {
			row.Problem = err.Error()
			b.remark = "not on this data: " + row.Problem
			break
		}
		p := picture{img: img}
		if line != "" {
			p.lines = []string{line}
		}
		b.pictures = append(b.pictures, p)
	}
	t.add(b, row)
}

// apply runs one trick on the image. Its draws are those of an image of that
// number.
func (t *trickSheet) apply(name string, options map[string]any, index int) (*image.RGBA, error) {
	o, err := pixel.Transforms.Defaults(name)
	if err != nil {
		return nil, err
	}
	if _, ok := options["p"]; !ok && slices.Contains(strict.Keys(o), "p") && len(options) > 0 {
		options["p"] = 1.0 // a sweep shows what the trick does when it does
	}
	if err := strict.DecodeMap(options, o); err != nil {
		return nil, err
	}
	info := pixel.Info{In: t.img.Size, Mean: t.recipe.Data.Mean, Std: t.recipe.Data.Std}
	chain, err := pixel.NewChain(info, pixel.Named{Name: name, Options: o})
	if err != nil {
		return nil, err
	}
	out := chain.Out()
	planes := make([]float32, out.Elements())
	chain.NewWorker().Apply(planes, t.img, t.recipe.Seed, 0, index)
	// A trick that changes the size is shown at the size of the others.
	factor := max(1, t.factor*t.img.W/out.W)
	return denormalise(planes, out, info.Mean, info.Std, factor), nil
}

// swept is an option of a trick that is shown over its values.
type swept struct {
	key     string // the option, or several
	options func(i, width int) map[string]any
}

// option is the first option named by the key.
func (s swept) option() string {
	name, _, _ := strings.Cut(s.key, ",")
	return name
}

// sweeps are the most telling options of the tricks. A trick that is not
// named here is shown by random draws.
var sweeps = map[string]swept{
	"crop":   over("padding", func(i, w int) any { return i * max(1, w/32) }),
	"cutout": over("size", func(i, w int) any { return max(1, i*w/14) }),
	"rotation": over("degrees", func(i, _ int) any {
		return []int{0, 5, 10, 15, 30, 45, 60, 90, 135, 180}[i]
	}),
	"randaugment": over("magnitude", func(i, _ int) any { return 3 * i }),
	"augmix":      over("severity", func(i, _ int) any { return i + 1 }),
	"gridmask":    over("ratio", func(i, _ int) any { return tenth(i+1, 0.95) }),
	"hide_and_seek": {"p", func(i, w int) map[string]any {
		return map[string]any{"p": tenth(i, 1), "sizes": []any{max(1, w/4)}}
	}},
	"pca_colour": over("std", func(i, _ int) any { return tenth(i, 1) }),
	"random_erasing": {"area_max", func(i, _ int) map[string]any {
		a := tenth(i+1, 0.95)
		return map[string]any{"area_min": a, "area_max": a}
	}},
	"random_resized_crop": {"area_min", func(i, _ int) map[string]any {
		a := tenth(10-i, 1)
		return map[string]any{"area_min": a, "area_max": a}
	}},
	"colour_jitter": {"brightness, contrast, saturation and twice the hue", func(i, _ int) map[string]any {
		v := tenth(i+1, 1)
		return map[string]any{"brightness": v, "contrast": v, "saturation": v, "hue": v / 2}
	}},
}

// draws are options of tricks shown by random draws that are too rare to be
// seen at their defaults.
var draws = map[string]map[string]any{"grayscale": {"p": 0.5}, "mirror": {"p": 0.5}}

func over(key string, value func(i, width int) any) swept {
	return swept{key, func(i, width int) map[string]any { return map[string]any{key: value(i, width)} }}
}

// tenth is i/10, at most a bound.
func tenth(i int, most float64) float64 { return min(float64(i)/10, most) }
