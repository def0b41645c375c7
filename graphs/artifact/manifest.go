// Package artifact writes and reads the files that carry a training job from
// graph construction to execution: step.onnx, eval.onnx, infer.onnx and
// manifest.json.
//
// The set is self-contained. Any ONNX tool can run the three models; the
// manifest says how: which inputs they take, where each parameter lies in the
// flat state vectors, and which scalars have to be fed at every step.
package artifact

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/optimizer"
)

// Format is the version of the manifest layout written by this package.
const Format = 1

// The file names of an artifact set, all in one folder.
const (
	StepFile     = "step.onnx"
	EvalFile     = "eval.onnx"
	InferFile    = "infer.onnx"
	ManifestFile = "manifest.json"
)

// Names of the graph inputs and outputs that every artifact set shares.
//
// step.onnx maps (Images, Targets, Params, slots…, Stats, Noise, hyper-parameters…)
// to (Params+OutSuffix, slot+OutSuffix…, Stats+OutSuffix, Loss, GradientNorm,
// Logits). Stats and Noise are absent where the network has none.
//
// A set that accumulates takes a batch in parts. Its step also maps Gradients
// (zeros for the first part) to Gradients+OutSuffix, to which it adds
// GradientWeight times the part's gradient, and updates by the sum. The caller
// keeps the parameters and slots of the last part only.
//
// A set with a Loop takes Steps steps in one run: every input and output that
// is not state (an input X with an output X+OutSuffix) then has a first
// dimension of that many elements. A set with an average maps AverageParams
// and AverageStats (as long as the statistics that move; absent where there
// are none) to those with OutSuffix, a share AverageShare nearer to the new
// state.
//
// A set that distils has a teacher's logits, Teacher, among the inputs of its
// step.
//
// eval.onnx maps (Images, Params, Stats) to (Logits); its batch is dynamic.
// infer.onnx maps (Images) to (Logits); its batch is dynamic.
const (
	Images    = "images"    // float32 N×C×H×W, normalised; uint8 for a step with Pixels
	Targets   = "targets"   // float32 N×K, rows sum to one
	Params    = "params"    // float32 vector of all trainable parameters
	Stats     = "stats"     // float32 vector of all running statistics
	Noise     = "noise"     // float32 vector of the random numbers of a step
	Gradients = "gradients" // float32 vector, summed over the parts of a batch
	Loss      = "loss"      // float32 scalar, mean over the batch
	Logits    = "logits"    // float32 N×K
	// GradientNorm is a float32 scalar: the Euclidean norm of the gradient of the
	// loss before anything is done to it. It is not finite where an element of
	// the gradient is not, or the norm exceeds 1.8e19.
	GradientNorm = "gradient_norm"
	OutSuffix    = "_out"

	// GradientWeight is the scalar input of a set that accumulates: 1 over the
	// number of parts.
	GradientWeight = "gradient_weight"

	// Steps is the int64 [1] input of a set with a Loop: how many steps to take.
	Steps = "steps"

	// LossScale is the state of the loss's scale in mixed precision: a float32
	// vector of the scale, the good steps since it last changed, and the steps
	// skipped.
	LossScale = "loss_scale"

	AverageParams = "average_params" // float32 vector as long as Params
	AverageStats  = "average_stats"  // float32 vector
	// AverageShare is the scalar input of a set with an average.
	AverageShare = "average_share"
)

// Manifest describes an artifact set. It is stored as JSON.
type Manifest struct {
	Format    int           `json:"format"`
	Producer  string        `json:"producer"`
	Model     ModelInfo     `json:"model"`
	Optimizer OptimizerInfo `json:"optimizer"`
	// Batch is the static batch size of step.onnx.
	Batch int `json:"batch"`
	// Pixels tells that the images of step.onnx are uint8, and how it normalises
	// them. Those of the other two models are normalised in any case.
	Pixels *Pixels `json:"pixels,omitempty"`
	// Loss is SoftmaxLoss or another of the losses.
	Loss string `json:"loss"`
	// Focal are the parameters of a focal loss.
	Focal *Focal `json:"focal,omitempty"`
	// Distillation is SoftCrossEntropy or SoftDivergence where the loss has a
	// teacher's term.
	Distillation string `json:"distillation,omitempty"`
	// Accumulate tells that a training step may take several runs of
	// step.onnx, each on Batch images.
	Accumulate bool `json:"accumulate,omitempty"`
	// Loop tells that step.onnx takes several steps in a run.
	Loop bool `json:"loop,omitempty"`
	// Guard tells that a step whose loss or gradient norm is not finite leaves
	// the state as it was.
	Guard bool `json:"guard,omitempty"`
	// Precision tells that step.onnx is of mixed precision, and carries LossScale
	// to LossScale+OutSuffix; it leaves the state as it was where the gradient
	// overflows.
	Precision *Mixed `json:"precision,omitempty"`
	// Average tells that step.onnx keeps an average of the state.
	Average bool `json:"average,omitempty"`
	// Lowering names the provider the step graph was lowered for ("cpu").
	Lowering string `json:"lowering"`
	Opset    int    `json:"opset"`
	// Block is the channel block that step.onnx is arranged for: it runs only
	// on machines whose ONNX Runtime has the same one. 0 runs anywhere.
	Block int `json:"block,omitempty"`
	// Kernels is the version of the kernel library (lower.KernelVersionFor) whose
	// operators step.onnx uses; 0 for none.
	Kernels int `json:"kernels,omitempty"`
	// Parameters tile the params vector (and each slot) without gaps, in order.
	Parameters []TensorInfo `json:"parameters"`
	// Statistics tile the stats vector without gaps, in order: running
	// statistics, and behind them whatever is frozen.
	Statistics []TensorInfo `json:"statistics"`
	// Random lists the random numbers of a step; they tile the noise vector
	// without gaps, in order.
	Random []RandomInfo `json:"random,omitempty"`
	// Slots are the optimizer's state vectors, each as long as params.
	Slots []SlotInfo `json:"slots"`
	// Hyper lists the scalar float32 inputs (shape []) of step.onnx.
	Hyper []HyperInfo `json:"hyperparameters"`
	// Seed is the seed of the initial parameters.
	Seed uint64 `json:"seed"`
	// Files maps each model's file name to its SHA-256 in hexadecimal.
	Files map[string]string `json:"files"`
	// Hash identifies what a checkpoint must agree with to be resumed:
	// model, optimizer and state layout. Hexadecimal SHA-256.
	Hash string `json:"hash"`

	imported *models.Model // of Model.Source, once it has been read
}

// ModelInfo says which network the set trains.
type ModelInfo struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
	Classes int               `json:"classes"`
	// Input is C, H, W.
	Input [3]int `json:"input"`
	// FLOPs counts multiply-adds of convolutions and matrix products of one
	// image's forward pass.
	FLOPs int64 `json:"flops"`
	// Source is the file of the set that an imported network was read from,
	// SourceHash its SHA-256, and Head the name that its head was given, if it
	// was not found. All are empty for networks of the zoo.
	Source     string `json:"source,omitempty"`
	SourceHash string `json:"source_hash,omitempty"`
	Head       string `json:"head,omitempty"`
}

// OptimizerInfo says which update rule step.onnx holds.
type OptimizerInfo struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
	// Gradient names what the gradient goes through before the rule, in order.
	Gradient []string `json:"gradient,omitempty"`
}

// TensorInfo places one tensor inside a flat vector. Offset and Size count
// float32 elements.
type TensorInfo struct {
	Name   string  `json:"name"`
	Shape  []int   `json:"shape"`
	Offset int     `json:"offset"`
	Size   int     `json:"size"`
	Init   ir.Init `json:"init"`
	// Decay tells whether weight decay applies (parameters only).
	Decay bool `json:"decay,omitempty"`
	// Kind tells norms and biases from weights (parameters only).
	Kind optimizer.Kind `json:"kind,omitempty"`
	// Frozen tells that training does not change it (statistics only).
	Frozen bool `json:"frozen,omitempty"`
	// RateScale multiplies the learning rate (parameters only); 0 is 1.
	RateScale float32 `json:"rate_scale,omitempty"`
}

// RandomInfo places random numbers inside the noise vector and says how they
// are drawn.
type RandomInfo struct {
	Name   string `json:"name"`
	Shape  []int  `json:"shape"`
	Offset int    `json:"offset"`
	Size   int    `json:"size"`
	// Keep, in (0,1), asks for 1/Keep with probability Keep and 0 otherwise;
	// 0 asks for uniform numbers in [0,1).
	Keep float64 `json:"keep,omitempty"`
}

// SlotInfo is one optimizer state vector; Init fills it before step 0.
type SlotInfo struct {
	Name string  `json:"name"`
	Init float32 `json:"init"`
}

// HyperInfo is one scalar input of step.onnx with the value used when the
// caller does not set it.
type HyperInfo struct {
	Name    string  `json:"name"`
	Default float32 `json:"default"`
}

// ParamCount returns the length of the params vector.
func (m *Manifest) ParamCount() int { return span(m.Parameters) }

// StatCount returns the length of the stats vector.
func (m *Manifest) StatCount() int { return span(m.Statistics) }

// MovingCount returns how many of the first elements of the stats vector
// training changes; those behind are frozen.
func (m *Manifest) MovingCount() int {
	for _, t := range m.Statistics {
		if t.Frozen {
			return t.Offset
		}
	}
	return m.StatCount()
}

// NoiseCount returns the length of the noise vector.
func (m *Manifest) NoiseCount() int {
	if len(m.Random) == 0 {
		return 0
	}
	last := m.Random[len(m.Random)-1]
	return last.Offset + last.Size
}

func span(ts []TensorInfo) int {
	if len(ts) == 0 {
		return 0
	}
	last := ts[len(ts)-1]
	return last.Offset + last.Size
}
