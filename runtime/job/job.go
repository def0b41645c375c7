// Package job carries out whole jobs: it is the one place where recipes, data
// sets, artifacts and the executing room meet. The command line is a thin
// layer over it; a Go program calls the same functions.
//
// A run lives in one folder:
//
//	recipe.yaml              the full resolved recipe
//	artifacts/               step.onnx, eval.onnx, infer.onnx, manifest.json
//	checkpoint.safetensors   the newest state, replaced atomically
//	checkpoints/             the newest ones by their steps, and the best if kept
//	metrics.csv              one row an epoch
//	curves.png               loss, accuracy and learning rate
//	model.onnx               the trained model, ready to deploy
package job

import (
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// The names of the files in a run folder.
const (
	RecipeFile     = "recipe.yaml"
	ArtifactsDir   = "artifacts"
	CheckpointFile = runtime.CheckpointFile
	MetricsFile    = metrics.File
	CurvesFile     = metrics.CurvesFile
	ModelFile      = "model.onnx"
)

// Config says what to train and where.
type Config struct {
	// Recipe is resolved and validated by Train; it is not changed. With
	// Resume it may be nil: the run folder's own recipe is taken.
	Recipe *recipe.Recipe
	// Out is the run folder. Train refuses one that holds another run.
	Out string
	// Resume continues from the checkpoint in Out.
	Resume bool
	// ResumeAuto, instead of Resume, continues from the newest whole checkpoint
	// in Out, with a note for each newer one that is damaged, and begins anew
	// where there is none. A recipe that is given must be the one that the run
	// began with.
	ResumeAuto bool
	// StopAfter ends the session once that many epochs of the run are
	// complete, leaving a checkpoint to resume from; 0 means all.
	StopAfter int
	// Library is an explicit path of the ONNX Runtime library, or empty.
	Library string
	// Reporter is told how the run goes; nil is silent.
	Reporter Reporter

	begin func() error         // called before the run folder is written to
	clock func() time.Duration // that checkpoints are timed by; nil for the machine's
	// spoil, for tests, is shown the images of every step before it is taken.
	spoil func(step int64, images []float32)
}

// Reporter receives a run's progress. Its methods are called one at a time and
// should return quickly: Step is called between training steps.
type Reporter interface {
	// Start is called once, before the first step.
	Start(p Plan)
	// Step is called after every step.
	Step(p Progress)
	// Evaluating is called when an evaluation begins and as it goes on.
	Evaluating(done, total int)
	// Epoch is called after every epoch with its complete figures.
	Epoch(e Epoch)
	// Note is a line for the person at the terminal.
	Note(line string)
}

// Plan is what a run is about to do.
type Plan struct {
	Model, Optimizer, Dataset string
	Parameters                int
	FLOPs                     int64
	TrainImages, TestImages   int
	Epochs, StepsPerEpoch     int
	Batch, Threads, Workers   int
	Mixed                     bool // in mixed precision
	// FirstEpoch and FirstStep (within it) are not 0 after a resume.
	FirstEpoch, FirstStep int
	Library               string // "1.30.0 (/path)"
	Out                   string
}

// Progress is the state of the current epoch after a step.
type Progress struct {
	Epoch, Epochs       int // Epoch counts from 0
	Step, StepsPerEpoch int // Step is the number of steps done in the epoch
	// Loss and Accuracy are means over the epoch so far. Accuracy counts an
	// image as right when the largest logit meets the largest target.
	Loss, Accuracy  float64
	LR              float64
	ImagesPerSecond float64
	// WaitShare is the share of the epoch's training time spent waiting for
	// data, in [0,1].
	WaitShare float64
	// Taught tells that there is a teacher; TeacherWaitShare is the share spent
	// waiting for its answers.
	Taught           bool
	TeacherWaitShare float64
	// Left estimates the time to the end of the run.
	Left time.Duration
}

// Epoch is the outcome of one epoch.
type Epoch struct {
	Progress
	// TestLoss, Top1 and Top5 are those of the held-out images: the validation
	// split if the recipe asks for one, else the test set.
	TestLoss, Top1, Top5 float64
	// HeldOut names them: "test" or "validation".
	HeldOut string
	Seconds float64
	// Loading says what the loader did while the epoch trained.
	Loading data.Report
}

// Result is the outcome of a session of training.
type Result struct {
	Last Epoch
	// Done tells whether all epochs are complete (false after StopAfter).
	Done    bool
	Seconds float64
	Out     string
	// Loading says what the loader did in the session's training; zero if
	// nothing was left to train.
	Loading data.Report
}

// EvalConfig says what to evaluate on which data.
type EvalConfig struct {
	// Run is a run folder, or ONNX a classifier file, or Weights a network of
	// the zoo with the weights of a file (whose Input is the data's): exactly
	// one.
	Run, ONNX string
	Weights   WeightsConfig
	// Checkpoint, with Run, is which weights: nothing for the newest, "best"
	// for the epoch with the best accuracy, a number of steps, or a file.
	Checkpoint string
	// Data says which data; with Run, empty fields are taken from its recipe.
	Data recipe.Data
	// Batch is the number of images at a time (0: 256), Limit the number of
	// images in all (0: every one).
	Batch, Limit int
	Execution
	// Progress, if set, is called as images are done.
	Progress func(done, total int)
	// Note, if set, is given lines for the person at the terminal.
	Note func(line string)
}

// EvalResult are the figures of an evaluation.
type EvalResult struct {
	Model   string  `json:"model"`
	Dataset string  `json:"dataset"`
	Images  int     `json:"images"`
	Top1    float64 `json:"top1"`
	Top5    float64 `json:"top5"`
	Loss    float64 `json:"loss"`
	Seconds float64 `json:"seconds"`
}

// PredictConfig says which images to classify with which model.
type PredictConfig struct {
	ONNX   string
	Images []string
	TopK   int // 0 means 5
	// Declared goes before what the model's metadata says.
	Declared runtime.ModelInfo
	Execution
}

// Prediction is the answer for one image file, most likely class first.
type Prediction struct {
	File    string           `json:"file"`
	Classes []classify.Class `json:"classes"`
}
