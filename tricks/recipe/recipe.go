// Package recipe is the description of a run: one YAML file, or one Go
// struct, that names the data, the model, the optimizer, the schedule and
// every trick with its options.
//
// A recipe is read strictly (Parse, Load), changed by dotted keys (Set), and
// completed and checked by Resolve; only a resolved recipe builds anything.
package recipe

import (
	"fmt"
	"os"

	"github.com/ortrain/ortrain/tricks/gradient"
	"github.com/ortrain/ortrain/tricks/network"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Recipe holds all settings of a run. The zero value is not useful: start
// from Default.
type Recipe struct {
	// Seed determines every random draw of the run.
	Seed uint64 `yaml:"seed"`
	// Epochs is the length of the run.
	Epochs int `yaml:"epochs"`
	// Batch is the number of images of a training step.
	Batch int `yaml:"batch"`
	// Loss is "softmax" (also the meaning of nothing), "bce", "focal" or
	// "focal_bce".
	Loss string `yaml:"loss,omitempty"`
	// Focal are the parameters of the focal losses.
	Focal network.Focal `yaml:"focal,omitempty"`
	// Accumulate, if above 1, takes a step's images in that many equal parts
	// whose gradients add up, for batches that do not fit into memory.
	Accumulate int `yaml:"accumulate,omitempty"`
	// Precision says in what a step computes.
	Precision Precision `yaml:"precision,omitempty"`
	// StepsPerRun is the number of training steps that the model takes in one
	// run of ONNX Runtime; 0 and 1 mean one. It does not change the numbers.
	StepsPerRun int `yaml:"steps_per_run,omitempty"`
	// NonFinite says what happens to a step whose loss or gradient is not
	// finite.
	NonFinite NonFinite `yaml:"non_finite,omitempty"`
	// Limit, if above 0, is the largest number of training images to use,
	// chosen evenly over the classes.
	Limit int `yaml:"limit"`
	// Threads is the number of threads that run the model; 0 means one per
	// core.
	Threads int `yaml:"threads"`
	// Provider is the execution provider, "cpu" or "cuda".
	Provider string `yaml:"provider"`
	// CUDA sets up provider cuda.
	CUDA      CUDA      `yaml:"cuda,omitempty"`
	Data      Data      `yaml:"data"`
	Model     Model     `yaml:"model"`
	Optimizer Optimizer `yaml:"optimizer"`
	// Gradient says what is done to the gradient before the update.
	Gradient gradient.Options `yaml:"gradient,omitempty"`
	Schedule Schedule         `yaml:"schedule"`
	// Sampling says which images an epoch shows; nothing shows each once.
	Sampling Step    `yaml:"sampling,omitempty"`
	Augment  Augment `yaml:"augment,omitempty"`
	Mix      Mix     `yaml:"mix,omitempty"`
	Target   Target  `yaml:"target,omitempty"`
	// Teacher says what the network learns from beside the labels.
	Teacher Teacher `yaml:"teacher,omitempty"`
	// Average, if set, names an average of the weights that is evaluated and
	// exported in their place.
	Average Step `yaml:"average,omitempty"`
	// Stop, if set, names a rule that may end the run early.
	Stop       Step       `yaml:"stop,omitempty"`
	Checkpoint Checkpoint `yaml:"checkpoint"`

	file  string
	lines strict.Lines
}

// Data says which images to train on.
type Data struct {
	// Name is a registered data set.
	Name string `yaml:"name"`
	// Dir is the folder of the files; empty means the usual places.
	Dir string `yaml:"dir"`
	// TrainFiles and TestFiles replace the data set's usual file names. They
	// are relative to Dir and may be glob patterns.
	TrainFiles []string `yaml:"train_files,flow"`
	TestFiles  []string `yaml:"test_files,flow"`
	// Size is the width and height in pixels to which images of various sizes
	// are brought for training and evaluation; 0 means the files' own, or 224.
	// Data sets whose images have one size take no other.
	Size int `yaml:"size,omitempty"`
	// Resize is the length that a test image's shorter side is resized to
	// before its middle is cut out; 0 cuts out as much as there is.
	Resize int `yaml:"resize,omitempty"`
	// ImageKey and LabelKey name the columns, keys or endings of images and
	// labels in formats that have several; empty means the usual ones.
	ImageKey string `yaml:"image_key,omitempty"`
	LabelKey string `yaml:"label_key,omitempty"`
	// TestSplit is the share of the images held out for the test of a set
	// whose files do not divide it; 0 means a fifth.
	TestSplit float64 `yaml:"test_split,omitempty"`
	// SkipBroken is the number of training images, and that of test images,
	// that may be broken: each is named, and a neighbour takes its place. 0
	// ends the run at the first.
	SkipBroken int `yaml:"skip_broken,omitempty"`
	// Validation is the part of the training images to hold out: a share if
	// below 1, otherwise a number of images.
	Validation float64 `yaml:"validation"`
	// Mean and Std normalise the pixels, per channel, scaled to [0, 1]. Empty
	// means the data set's own.
	Mean []float64 `yaml:"mean,flow"`
	Std  []float64 `yaml:"std,flow"`
	// Images says in which form images reach the step and the evaluation:
	// "float32", normalised by the loader; "uint8", which their graphs normalise,
	// a quarter of the bytes on the way to a device; or "auto" (also the meaning
	// of nothing), uint8 where the provider is a device and no trick needs
	// normalised images.
	// It does not change the numbers.
	Images string `yaml:"images,omitempty"`
	// Workers is the number of loader workers; 0 means one per core. It does
	// not change the images.
	Workers int `yaml:"workers"`
	// Repeats is how many times each image of a batch is shown in it, every
	// time augmented differently; 0 and 1 mean once.
	Repeats int `yaml:"repeats,omitempty"`
}

// Model says which network to train. Options belong to the model.
type Model struct {
	// Name is a network of the zoo, or an ONNX file.
	Name    string            `yaml:"name"`
	Options map[string]string `yaml:"options,omitempty"`
	// Weights, if set, is what training starts from: a file of weights or a run
	// folder.
	Weights string `yaml:"weights,omitempty"`
	// Partial lets training start from weights that leave more of the network
	// open than its head.
	Partial bool `yaml:"partial,omitempty"`
	// Scratch leaves the weights of an ONNX file and trains its architecture
	// from new ones.
	Scratch bool `yaml:"scratch,omitempty"`
	// Head names the layer of an ONNX file that makes the logits, if it is not
	// found by itself.
	Head string `yaml:"head,omitempty"`
	// Freeze names parameters that do not train; * stands for any characters.
	Freeze []string `yaml:"freeze,omitempty,flow"`
	// FreezeNorms keeps batch norms whose scale is frozen to their running
	// statistics.
	FreezeNorms bool `yaml:"freeze_norms,omitempty"`
	// LayerDecay, below 1, is the factor of the learning rate from one block of
	// the network to the one before it; 0 means 1.
	LayerDecay float64 `yaml:"layer_decay,omitempty"`
}

// Optimizer says how to update the parameters. Options belong to the
// optimizer.
type Optimizer struct {
	Name string `yaml:"name"`
	// Momentum is nil for the optimizer's default, and where it has none.
	Momentum *float64 `yaml:"momentum,omitempty"`
	Nesterov bool     `yaml:"nesterov"`
	// WeightDecay is L2 regularisation or decoupled decay, as the optimizer
	// defines it; nil for its default.
	WeightDecay *float64 `yaml:"weight_decay,omitempty"`
	// DecayNormAndBias extends the decay to biases and the parameters of
	// norms.
	DecayNormAndBias bool              `yaml:"decay_norm_and_bias"`
	Options          map[string]string `yaml:"options,omitempty"`
}

// Schedule says how the learning rate changes.
type Schedule struct {
	// Name is a registered schedule.
	Name string `yaml:"name"`
	// LR is the base learning rate.
	LR float64 `yaml:"lr"`
	// LinearScaling multiplies LR by Batch/256.
	LinearScaling bool   `yaml:"linear_scaling"`
	Warmup        Warmup `yaml:"warmup,omitempty"`
	// Options are the keys of the named schedule.
	Options map[string]any `yaml:",inline"`
}

// NoWarmup is the kind of warm-up that there is not.
const NoWarmup = "none"

// Warmup says how the schedule starts; in YAML it is a mapping, or just the
// kind. The zero value means the default: a
// gradual warm-up of one epoch, or of a fifth of the run if that is shorter.
type Warmup struct {
	// Kind is a registered warm-up, or "none". Empty means gradual.
	Kind string `yaml:"kind"`
	// Options are the keys of the kind.
	Options map[string]any `yaml:",inline"`
}

// SetScalar implements strict.Scalar: a warm-up may be just its kind.
func (w *Warmup) SetScalar(kind string) { *w = Warmup{Kind: kind} }

// IsZero makes an absent warm-up absent in YAML.
func (w Warmup) IsZero() bool { return w.Kind == "" && len(w.Options) == 0 }

// Augment lists transforms of images in the order they are applied. Nil means
// the data set's default; an empty list means none.
type Augment []Step

// IsZero makes an absent list absent in YAML, and an empty one not.
func (a Augment) IsZero() bool { return a == nil }

// Step names one trick with its options: a transform of images, an average of
// the weights, a stopping rule. In YAML it is a mapping, or just the name.
type Step struct {
	// Name is registered with the tricks of the kind.
	Name string `yaml:"name"`
	// Options are the keys of the trick.
	Options map[string]any `yaml:",inline"`
}

// SetScalar implements strict.Scalar.
func (s *Step) SetScalar(name string) { *s = Step{Name: name} }

// IsZero makes an absent trick absent in YAML.
func (s Step) IsZero() bool { return s.Name == "" && len(s.Options) == 0 }

// Mix lists the tricks that mix the images of a batch; each batch is mixed by
// one of them or stays as it is.
type Mix []Mixing

// Mixing is one trick of a Mix. In YAML it is a mapping, or just the name.
type Mixing struct {
	// Name is a registered batch trick.
	Name string `yaml:"name"`
	// P is the share of the batches that it mixes. Nil means an equal part of
	// what the others leave.
	P *float64 `yaml:"p,omitempty"`
	// OffEpochs is the number of epochs at the end of the run in which the
	// trick rests.
	OffEpochs int `yaml:"off_epochs,omitempty"`
	// Options are the keys of the trick.
	Options map[string]any `yaml:",inline"`
}

// SetScalar implements strict.Scalar.
func (m *Mixing) SetScalar(name string) { *m = Mixing{Name: name} }

// Target maps the names of registered target tricks to their options.
type Target struct {
	Tricks map[string]any `yaml:",inline"`
}

// IsZero makes an absent mapping absent in YAML.
func (t Target) IsZero() bool { return len(t.Tricks) == 0 }

// Checkpoint says when to save, and what to keep. None of it changes what a run
// computes.
type Checkpoint struct {
	// Every is the number of epochs between checkpoints.
	Every int `yaml:"every"`
	// Minutes, if above 0, also saves when that many have passed since the last
	// checkpoint, within an epoch as well.
	Minutes float64 `yaml:"minutes,omitempty"`
	// Keep is the number of newest checkpoints that stay.
	Keep int `yaml:"keep,omitempty"`
	// KeepBest also saves every epoch with the best accuracy so far, and keeps
	// the last such checkpoint.
	KeepBest bool `yaml:"keep_best,omitempty"`
}

// Default returns the recipe of which every other is a change: ResNet-20 on
// CIFAR-10.
func Default() *Recipe {
	return &Recipe{
		Epochs:     10,
		Batch:      128,
		Provider:   "cpu",
		Data:       Data{Name: "cifar10"},
		Model:      Model{Name: "resnet20"},
		Optimizer:  Optimizer{Name: "sgd"},
		Schedule:   Schedule{Name: "cosine", LR: 0.1},
		Checkpoint: Checkpoint{Every: 1, Keep: 2},
	}
}

// Parse reads a recipe; keys it leaves out keep the values of Default. file
// names the source in errors, of which each is one line with the file, the
// line and the key (*strict.Error). Options are checked against the tricks
// they belong to.
func Parse(text []byte, file string) (*Recipe, error) {
	r := Default()
	r.file, r.lines = file, strict.Lines{}
	node, err := strict.Parse(text)
	if err == nil {
		err = (&strict.Decoder{Lines: r.lines}).Decode(node, r)
	}
	if err == nil {
		err = r.checkTricks()
	}
	if err != nil {
		return nil, strict.Locate(err, file, r.lines)
	}
	return r, nil
}

// Load parses the recipe in a file.
func Load(path string) (*Recipe, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return Parse(text, path)
}
