package job

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
)

// Diagnosis tells whether this machine can train, and why not.
type Diagnosis struct {
	runtime.Report
	// CUDA tells of provider cuda, where it was asked for or its file lies beside the library.
	CUDA *runtime.CUDAReport `json:"cuda,omitempty"`
	// SelfTest is the outcome of one training step of a small network.
	SelfTest SelfTest `json:"self_test"`
	// Provider is the one that was asked for, if any, and Device its device.
	Provider string `json:"provider,omitempty"`
	Device   int    `json:"device,omitempty"`
	// Decoder says what decodes JPEG files.
	Decoder string `json:"jpeg_decoder"`
	// DataSets are all known data sets, found or not: a missing one is no
	// fault.
	DataSets []FoundData `json:"data_sets"`
}

// Err says in one line why training cannot work; nil if it can.
func (d *Diagnosis) Err() error {
	switch {
	case d.Problem != "":
		return fmt.Errorf("training cannot work here: %s", d.Problem)
	case d.deviceProblem() != nil:
		return d.deviceProblem()
	case d.SelfTest.Problem != "":
		return fmt.Errorf("training cannot work here: the library loads but a training step fails: %s; %s", d.SelfTest.Problem, runtime.Install)
	}
	return nil
}

// SelfTest is the outcome of one training step.
type SelfTest struct {
	Run bool `json:"run"`
	// Loss is that of the step, Seconds its time with that of building and
	// loading the network.
	Loss    float32 `json:"loss"`
	Seconds float64 `json:"seconds"`
	Problem string  `json:"problem,omitempty"`
}

// FoundData is a data set and what was found of it.
type FoundData struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	// Train and Test are the numbers of images; 0 when not found.
	Train int `json:"train_images"`
	Test  int `json:"test_images"`
	// Problem says where the files were looked for, or what is wrong with
	// them; empty if the set is there and readable.
	Problem string `json:"problem,omitempty"`
}

// deviceProblem says why the provider that was asked for does not work.
func (d *Diagnosis) deviceProblem() error {
	if d.Provider != lower.CUDA || d.CUDA == nil {
		return nil
	}
	return d.CUDA.Check(d.Device)
}

// Diagnose examines the ONNX Runtime library (an explicit path, or empty for
// the usual search), runs a training step on it as e says, and reads every data
// set in dataDir, or in the usual places. It opens the library in this process.
func Diagnose(e Execution, dataDir string) *Diagnosis {
	d := &Diagnosis{Report: runtime.Examine(e.Provider, e.Library), Decoder: decode.Decoder(), Provider: e.Provider, Device: e.CUDA.Device}
	if d.Library.Path != "" && (e.Provider == lower.CUDA || exists(filepath.Join(filepath.Dir(d.Library.Path), runtime.CUDAProviderFile))) {
		d.CUDA = runtime.ExamineCUDA(d.Library)
	}
	if d.Problem == "" && d.deviceProblem() == nil {
		start := time.Now()
		loss, err := selfTest(d.Library, e.sessions())
		d.SelfTest = SelfTest{Run: true, Loss: loss, Seconds: time.Since(start).Seconds()}
		if err != nil {
			d.SelfTest.Problem = strings.Join(strings.Fields(err.Error()), " ")
		}
	}
	for _, name := range data.Names() {
		if set, err := data.Lookup(name); err == nil && set.Layout != "" {
			continue // images of the user's own have no usual place
		}
		d.DataSets = append(d.DataSets, findData(name, dataDir))
	}
	return d
}

func findData(name, dir string) FoundData {
	f := FoundData{Name: name}
	def, err := data.Lookup(name)
	if err == nil {
		f.Summary = def.Summary
		var set *data.Dataset
		if set, err = data.Open(data.Options{Name: name, Dir: dir}); err == nil {
			f.Train, f.Test = set.Train.Len(), set.Test.Len()
		}
	}
	if err != nil {
		f.Problem = err.Error()
	}
	return f
}

// selfTest trains a small network for one step on made-up images. At the
// start every class is about as likely, so the loss is near ln(classes).
func selfTest(lib runtime.Library, o runtime.Options) (float32, error) {
	if err := runtime.Open(lib); err != nil {
		return 0, err
	}
	const batch, classes, side = 2, 10, 8
	set, err := artifact.Build(artifact.Spec{
		Model: "resnet8", Config: models.Config{Classes: classes, Input: [3]int{1, side, side}},
		Optimizer: "sgd", Batch: batch, Seed: 1, Lowering: lower.Options{Provider: o.Provider},
	})
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "ortrain-doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return 0, err
	}
	t, err := runtime.NewTrainer(dir, o)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	if err := t.SetState(set.Manifest.InitialState()); err != nil {
		return 0, err
	}
	images := make([]float32, batch*side*side)
	targets := make([]float32, batch*classes)
	for i := range images {
		images[i] = float32(math.Sin(float64(i)))
	}
	for i := range batch {
		targets[i*classes+i] = 1
	}
	hyper, err := t.Hyper(nil)
	if err != nil {
		return 0, err
	}
	r, err := t.Step(images, targets, hyper)
	if err != nil {
		return 0, err
	}
	if r.Loss <= 0 || r.Loss > 20 {
		return r.Loss, fmt.Errorf("its loss is %v, which cannot be", r.Loss)
	}
	return r.Loss, nil
}
