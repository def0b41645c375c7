package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// VerifyConfig says which exported file to verify, and against what.
type VerifyConfig struct {
	File string
	// Run is the run folder to compare with; empty means the one that the
	// file's metadata name.
	Run string
	// Checkpoint is which of the run's weights, as in ExportConfig.
	Checkpoint string
	// Images is how many held-out images to compare on; 0 means 256.
	Images int
	// MinAgreement is the share of images on which the most likely class must
	// be the run's; below it the file fails. Whatever it is, a float32 file
	// fails if its logits are off.
	MinAgreement float64
	// Data says where the run's images are; empty fields as in its recipe.
	Data recipe.Data
	// Execution runs both the file and the run's evaluation graph; on provider
	// cuda in float32, unless it says TF32, with which differences are only
	// told.
	Execution
	// Progress, if set, is told how far the comparison is.
	Progress func(stage string, done, total int)
}

// Tolerance is how far the logits of a float32 file may be from those of the
// run's evaluation graph, relative to the largest of them (at least 1).
// scaledTolerance goes for a file that scales the images itself, where a pixel
// may come out one level of 255 apart.
const (
	Tolerance       = 1e-4
	scaledTolerance = 0.05
)

// Verification is what was found out about a file.
type Verification struct {
	File       string `json:"file"`
	Bytes      int64  `json:"bytes"`
	Precision  string `json:"precision"`
	Parameters int    `json:"parameters"`
	// Run is the run folder compared with, Images the number of images.
	Run    string `json:"run"`
	Images int    `json:"images"`
	// Scaled tells that the images were of other sizes than the network's, and
	// scaled by the file.
	Scaled bool `json:"scaled,omitempty"`
	// Compared names the values that were compared: logits, probabilities or
	// those of the best classes.
	Compared string `json:"compared"`
	// Largest and Mean are their differences from the run's, relative to the
	// run's largest value (at least 1). Tolerance is what Largest may be; 0
	// where differences are only told.
	Largest   float64 `json:"largest_difference"`
	Mean      float64 `json:"mean_difference"`
	Tolerance float64 `json:"tolerance,omitempty"`
	// Agreement is the share of images with the run's most likely class.
	Agreement float64 `json:"agreement"`
	// Structure is what the independent ONNX reader found; nil if it objects.
	Structure *check.Report     `json:"structure,omitempty"`
	Latency   []runtime.Latency `json:"latency"`
	// Problems say why the file failed; none if it did not.
	Problems []string `json:"problems,omitempty"`
}

// Err returns the problems as one error; nil if there are none.
func (v *Verification) Err() error {
	if len(v.Problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s is not verified: %s", v.File, strings.Join(v.Problems, "; "))
}

// Verify runs an exported classifier on held-out images of its run, compares
// what it says with the run's own evaluation graph, has its structure checked
// by an independent reader, and times it. An error means that nothing could be
// compared; a file that fails the comparison is reported by Verification.Err.
func Verify(ctx context.Context, c VerifyConfig) (*Verification, error) {
	file, err := onnx.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(c.File)
	if err != nil {
		return nil, err
	}
	meta := metadataOf(file)
	origin, err := runtime.ParseProvenance(meta)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	v := &Verification{File: c.File, Bytes: st.Size(), Precision: cmp.Or(origin.Precision, Float32), Run: cmp.Or(c.Run, origin.SourceRun)}
	if v.Run == "" {
		return nil, fmt.Errorf("%s does not say which run it comes from (metadata %q); give it with --run DIR", c.File, runtime.MetaSourceRun)
	}
	v.Parameters, _ = countParameters(file.GetGraph())
	run, err := openRun(v.Run, c.Checkpoint, c.Data, c.Execution)
	if err != nil {
		return nil, err
	}
	if origin.RecipeHash != "" && origin.RecipeHash != run.hash {
		return nil, fmt.Errorf("%s was exported from a run of another recipe than that in %s; give its own with --run DIR", c.File, v.Run)
	}
	if v.Structure, err = check.File(c.File); err != nil {
		v.Problems = append(v.Problems, "the independent reader objects: "+strings.TrimPrefix(err.Error(), c.File+": "))
	}
	o, err := c.Execution.open()
	if err != nil {
		return nil, err
	}
	o.CUDA.NoTF32 = !c.rounds()
	k, err := runtime.NewClassifier(c.File, o)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	if m := run.manifest.Model; k.Classes() != 0 && k.Classes() != m.Classes || k.Image() != m.Input && !k.TakesPixels() {
		return nil, fmt.Errorf("%s takes images of %v and tells %d classes apart, the run in %s takes %v and tells %d apart",
			c.File, k.Image(), k.Classes(), v.Run, m.Input, m.Classes)
	}
	if err := v.compare(ctx, c, run, k, o); err != nil {
		return nil, err
	}
	return v, v.time(ctx, k)
}

// rounds tells that products are to be rounded to TF32, which two sound graphs
// may do at different places.
func (c VerifyConfig) rounds() bool { return c.CUDA.TF32 != nil && *c.CUDA.TF32 }

// compare runs both on the same images.
func (v *Verification) compare(ctx context.Context, c VerifyConfig, run *savedRun, k *runtime.Classifier, o runtime.Options) error {
	e, err := runtime.NewEvaluator(filepath.Join(run.dir, ArtifactsDir), o)
	if err != nil {
		return err
	}
	defer e.Close()
	set, _, err := run.heldOut()
	if err != nil {
		return fmt.Errorf("images to compare on: %w", err)
	}
	if set = set.Limit(cmp.Or(c.Images, 256), run.recipe.Seed); set.Len() == 0 {
		return errors.New("there are no images to compare on")
	}
	var progress func(int)
	if c.Progress != nil {
		progress = func(done int) { c.Progress("comparing", done, set.Len()) }
	}
	var d differences
	for b, err := range run.batches(ctx, set, 32, progress) {
		if err != nil {
			return err
		}
		want, err := e.Logits(ctx, run.state, runtime.Batch{Images: b.Images}, b.Count)
		if err != nil {
			return err
		}
		if err := v.batch(ctx, k, set, b, want, &d); err != nil {
			return err
		}
	}
	v.Images = set.Len()
	v.Largest, v.Mean, v.Agreement = d.largest/d.scale, d.sum/d.count/d.scale, float64(d.agreed)/float64(v.Images)
	if v.Precision == Float32 && !c.rounds() {
		if v.Tolerance = Tolerance; v.Scaled {
			v.Tolerance = scaledTolerance
		}
		if !(v.Largest <= v.Tolerance) {
			v.Problems = append(v.Problems, fmt.Sprintf("its %s differ by up to %.2g from the run's; %.2g is allowed", v.Compared, v.Largest, v.Tolerance))
		}
	}
	if !(v.Agreement >= c.MinAgreement) {
		v.Problems = append(v.Problems, fmt.Sprintf("its most likely class is the run's on %.2f %% of the images; %.2f %% are asked for", 100*v.Agreement, 100*c.MinAgreement))
	}
	if math.IsNaN(v.Largest) {
		v.Problems = append(v.Problems, "it gives values that are not numbers")
	}
	return nil
}

// batch compares the answers for one batch with the run's logits.
func (v *Verification) batch(ctx context.Context, k *runtime.Classifier, set *data.Subset, b *data.Batch, want []float32, d *differences) error {
	if !k.TakesPixels() {
		got, err := k.Answer(ctx, b.Images, b.Count)
		if err != nil {
			return err
		}
		v.Compared = d.add(got, want, b.Count)
		return nil
	}
	var img pixel.Image
	classes := len(want) / b.Count
	for i, index := range b.Indices[:b.Count] {
		if err := set.Source.Read(index, &img); err != nil {
			return err
		}
		v.Scaled = v.Scaled || img.Size != set.Source.Size()
		got, err := k.AnswerPixels(ctx, img.Pix, 1, img.H, img.W)
		if err != nil {
			return err
		}
		v.Compared = d.add(got, want[i*classes:(i+1)*classes], 1)
	}
	return nil
}

// differences adds up how far answers are from logits.
type differences struct {
	largest, sum, count float64
	scale               float64
	agreed              int
}

// add compares n rows and returns what was compared.
func (d *differences) add(got runtime.Answers, logits []float32, n int) string {
	d.scale = math.Max(d.scale, 1)
	what := "logits"
	classes := len(logits) / n
	for i := range n {
		want := make([]float64, classes)
		for j, x := range logits[i*classes : (i+1)*classes] {
			want[j] = float64(x)
		}
		if got.Probabilities {
			what = "probabilities"
			want = softmax(logits[i*classes : (i+1)*classes])
		} else {
			for _, x := range want {
				d.scale = math.Max(d.scale, math.Abs(x))
			}
		}
		best, first := 0, 0
		for j := range want {
			if want[j] > want[best] {
				best = j
			}
		}
		row := got.Values[i*got.Columns : (i+1)*got.Columns]
		for j, x := range row {
			class := j
			if got.Classes != nil {
				class = int(got.Classes[i*got.Columns+j])
			}
			if x > row[first] {
				first = j
			}
			gap := math.Abs(float64(x) - want[class])
			d.largest = math.Max(d.largest, gap) // a NaN stays
			d.sum += gap
			d.count++
		}
		if got.Classes != nil {
			first = int(got.Classes[i*got.Columns])
		}
		if first == best {
			d.agreed++
		}
	}
	if got.Classes != nil {
		what = fmt.Sprintf("%s of the best %d classes", what, got.Columns)
	}
	return what
}

// time measures the latency on blank images of the network's size.
func (v *Verification) time(ctx context.Context, k *runtime.Classifier) error {
	size := k.Image()
	if k.TakesPixels() && size[1] == 0 {
		size[1], size[2] = 224, 224
	}
	values := size[0] * size[1] * size[2]
	planes, pixels := make([]float32, values*largestTimed), make([]uint8, values*largestTimed)
	for _, n := range timedBatches {
		if f := k.Batch(); f > 0 {
			n = f // the file takes no other
		}
		run := func() error { _, err := k.Answer(ctx, planes[:n*values], n); return err }
		if k.TakesPixels() {
			run = func() error { _, err := k.AnswerPixels(ctx, pixels[:n*values], n, size[1], size[2]); return err }
		}
		if n > largestTimed {
			break
		}
		t, err := runtime.MeasureLatency(n, 100, 3*time.Second, run)
		if err != nil {
			return err
		}
		v.Latency = append(v.Latency, t...)
	}
	return nil
}

// softmax turns logits into probabilities.
func softmax(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	p := make([]float64, len(logits))
	sum := 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
