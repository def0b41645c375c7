package runtime_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// pixelTrainer makes a trainer of 8×8 colour images, which its step normalises
// if it is given how.
func pixelTrainer(t *testing.T, p *artifact.Pixels, block int, loop bool) *runtime.Trainer {
	t.Helper()
	s := artifact.Spec{Model: "resnet8", Config: models.Config{Classes: tinyClasses, Input: [3]int{3, 8, 8}},
		Optimizer: "sgd", Batch: tinyBatch, Seed: 7, Pixels: p, Loop: loop}
	s.Lowering.Block = block
	dir := ortest.Artifacts(t, s)
	if _, err := check.File(dir + "/" + artifact.StepFile); err != nil {
		t.Error(err)
	}
	tr, err := runtime.NewTrainer(dir, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// A step that is given 8-bit images and normalises them ends with the state,
// bit for bit, of one that is given normalised ones.
func TestStepNormalisesPixels(t *testing.T) {
	ortest.Open(t)
	norm, err := pixel.NewNormaliser([]float64{0.4914, 0.4822, 0.4465}, []float64{0.247, 0.2435, 0.2616})
	if err != nil {
		t.Fatal(err)
	}
	scale, shift := norm.Affine()
	for _, block := range []int{0, runtime.ChannelBlock()} {
		bytes, floats := pixelTrainer(t, &artifact.Pixels{Scale: scale, Shift: shift}, block, false), pixelTrainer(t, nil, block, false)
		if bytes.Manifest().Hash != floats.Manifest().Hash {
			t.Error("a checkpoint of one form does not fit the other")
		}
		rng := newRand(3)
		x, y := make([]uint8, tinyBatch*3*64), make([]float32, tinyBatch*3*64)
		_, targets, _ := sample(rng, tinyBatch)
		for n := range 6 {
			for i := range x {
				x[i] = uint8(rng.IntN(256))
			}
			norm.ApplyPlanes(y, x, pixel.Size{W: 8, H: 8, C: 3})
			a, err := bytes.StepInputs(runtime.Inputs{Bytes: x, Targets: targets}, hyper(t, bytes, 0.1), 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			b, err := floats.StepInputs(runtime.Inputs{Images: y, Targets: targets}, hyper(t, floats, 0.1), 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if a.Loss != b.Loss || !slices.Equal(a.Logits, b.Logits) {
				t.Fatalf("step %d, block %d: losses %v and %v", n, block, a.Loss, b.Loss)
			}
		}
		if !slices.Equal(bytes.View().Params, floats.View().Params) || !slices.Equal(bytes.View().Stats, floats.View().Stats) {
			t.Errorf("block %d: the states differ", block)
		}
		if _, err := bytes.StepInputs(runtime.Inputs{Images: y, Targets: targets}, hyper(t, bytes, 0.1), 0, 1); err == nil || !strings.Contains(err.Error(), "takes 8-bit values") {
			t.Errorf("floats for bytes: %v", err)
		}
		if _, err := floats.StepInputs(runtime.Inputs{Bytes: x, Targets: targets}, hyper(t, floats, 0.1), 0, 1); err == nil || !strings.Contains(err.Error(), "takes normalised values") {
			t.Errorf("bytes for floats: %v", err)
		}
		if _, err := bytes.StepInputs(runtime.Inputs{Bytes: x[1:], Targets: targets}, hyper(t, bytes, 0.1), 0, 1); err == nil || !strings.Contains(err.Error(), "images") {
			t.Errorf("too few bytes: %v", err)
		}
	}
}

// An evaluation that is given 8-bit images and normalises them answers, bit for
// bit, what one answers that is given normalised ones, whatever the network and
// the number of images.
func TestEvaluationNormalisesPixels(t *testing.T) {
	ortest.Open(t)
	for model, size := range map[string]int{"resnet8": 8, "resnext29_4x64d": 8, "wrn10_1": 9, "amoebanet_b_1_16": 17} {
		dir := ortest.Artifacts(t, artifact.Spec{Model: model, Config: models.Config{Classes: tinyClasses, Input: [3]int{3, size, size}},
			Optimizer: "sgd", Batch: tinyBatch, Seed: 7})
		norm, err := pixel.NewNormaliser([]float64{0.4914, 0.4822, 0.4465}, []float64{0.247, 0.2435, 0.2616})
		if err != nil {
			t.Fatal(err)
		}
		scale, shift := norm.Affine()
		floats, err := runtime.NewEvaluator(dir, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer floats.Close()
		bytes, err := runtime.NewByteEvaluator(dir, &artifact.Pixels{Scale: scale, Shift: shift}, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer bytes.Close()
		if floats.TakesBytes() || !bytes.TakesBytes() {
			t.Errorf("TakesBytes: %v of normalised images, %v of 8-bit ones", floats.TakesBytes(), bytes.TakesBytes())
		}
		m, err := artifact.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		state, rng := m.InitialState(), newRand(3)
		for _, n := range []int{1, 2, 5, 16} {
			x := make([]uint8, n*3*size*size)
			for i := range x {
				x[i] = uint8(rng.IntN(256))
			}
			y := make([]float32, len(x))
			norm.ApplyPlanes(y, x, pixel.Size{W: size, H: size, C: 3})
			want, err := floats.Logits(t.Context(), state, runtime.Batch{Images: y}, n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := bytes.Logits(t.Context(), state, runtime.Batch{Bytes: x}, n)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, %d images: logits %v and %v, %v", model, n, got, want, err)
			}
		}
		if _, err := bytes.Logits(t.Context(), state, runtime.Batch{Images: make([]float32, 3*size*size)}, 1); err == nil || !strings.Contains(err.Error(), "images: the tensor is of type float, the model wants uint8") {
			t.Errorf("floats for bytes: %v", err)
		}
		if _, err := runtime.NewByteEvaluator(dir, &artifact.Pixels{Scale: scale[:1], Shift: shift[:1]}, runtime.Options{}); err == nil || !strings.Contains(err.Error(), artifact.EvalFile+": artifact: 1 scales and 1 shifts normalise images of 3 channels") {
			t.Errorf("one channel for three: %v", err)
		}
	}
}

// Several steps in one run take 8-bit images as one step does.
func TestManyStepsNormalisePixels(t *testing.T) {
	ortest.Open(t)
	p := &artifact.Pixels{Scale: []float32{0.01, 0.02, 0.03}, Shift: []float32{-1, -2, 0.5}}
	one, many := pixelTrainer(t, p, 0, false), pixelTrainer(t, p, 0, true)
	const n = 3
	rng := newRand(4)
	x, row := make([]uint8, n*tinyBatch*3*64), hyper(t, one, 0.1)
	for i := range x {
		x[i] = uint8(rng.IntN(256))
	}
	_, targets, _ := sample(rng, n*tinyBatch)
	for i := range n {
		in := runtime.Inputs{Bytes: x[i*len(x)/n:][:len(x)/n], Targets: targets[i*len(targets)/n:][:len(targets)/n]}
		if _, err := one.StepInputs(in, row, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := many.StepMany(runtime.Inputs{Bytes: x, Targets: targets}, slices.Repeat(row, n), n); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.View().Params, many.View().Params) {
		t.Error("three steps in one run end in another state")
	}
}

func TestPixelsMustFit(t *testing.T) {
	for _, p := range []*artifact.Pixels{
		{Scale: []float32{1}, Shift: []float32{0}},
		{Scale: []float32{1, 0, 1}, Shift: []float32{0, 0, 0}},
	} {
		_, err := artifact.Build(artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 3, Input: [3]int{3, 8, 8}}, Optimizer: "sgd", Batch: 4, Pixels: p})
		if err == nil || !strings.Contains(err.Error(), "normalise") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
