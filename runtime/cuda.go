package runtime

import (
	"fmt"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/kernels"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// CUDA are the options of provider cuda. The zero value is the right start:
// the first device, all of its memory, convolutions chosen by exhaustive
// search, TF32 on, and no node on the CPU.
type CUDA struct {
	// Device is the number of the device, as the driver counts.
	Device int
	// MemoryLimit is how many bytes of device memory a session may take; 0 is
	// no limit.
	MemoryLimit int64
	// HeuristicSearch takes the convolution that cuDNN's heuristics suggest
	// instead of timing them all when a session first runs.
	HeuristicSearch bool
	// NoTF32 computes products of float32 in float32, slower and with 13 more
	// bits.
	NoTF32 bool
	// Fallback lets the CPU run the nodes that have no CUDA kernel. Without it
	// such a model is refused.
	Fallback bool
}

// settings are the options by the names of ONNX Runtime. Convolutions are
// never left to ONNX Runtime's DEFAULT, which takes slow kernels.
func (c CUDA) settings() map[string]string {
	s := map[string]string{
		"device_id":                    strconv.Itoa(c.Device),
		"cudnn_conv_algo_search":       "EXHAUSTIVE",
		"cudnn_conv_use_max_workspace": "1",
		"use_tf32":                     strconv.Itoa(btoi(!c.NoTF32)),
		// Powers of two would waste up to half of the memory.
		"arena_extend_strategy": "kSameAsRequested",
	}
	if c.HeuristicSearch {
		s["cudnn_conv_algo_search"] = "HEURISTIC"
	}
	if c.MemoryLimit > 0 {
		s["gpu_mem_limit"] = strconv.FormatInt(c.MemoryLimit, 10)
	}
	return s
}

// addTo sets up the provider. What is missing on the machine is named before
// ONNX Runtime is asked, whose own messages say little.
func (c CUDA) addTo(n *ort.SessionOptions) error {
	lib, _ := Opened()
	if err := CheckCUDA(lib, c.Device); err != nil {
		return err
	}
	o, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return fmt.Errorf("provider cuda: %s", oneLine(err.Error()))
	}
	defer o.Destroy()
	if err := o.Update(c.settings()); err != nil {
		return fmt.Errorf("provider cuda: %s", oneLine(err.Error()))
	}
	if err := n.AppendExecutionProviderCUDA(o); err != nil {
		return fmt.Errorf("provider cuda does not start: %s; 'ortrain doctor --provider cuda' examines what it needs", oneLine(err.Error()))
	}
	return nil
}

// disableFallback is the setting under which ONNX Runtime refuses a model of
// which a node would run on the CPU.
const disableFallback = "session.disable_cpu_ep_fallback"

// place refuses a model with nodes that have no CUDA kernel, unless they may
// run on the CPU, and returns the session settings that make ONNX Runtime see
// to it as well. A kernel library has all the operators of its domain. The arithmetic of shapes stays on the CPU in any case.
func (c CUDA) place(name string, m *onnx.ModelProto, library *Kernels) (map[string]string, error) {
	list := kernels.CUDA()
	if library != nil {
		list = list.With(lower.KernelDomain)
	}
	r := list.Place(m)
	shapes := false
	var unwanted []string
	for _, p := range r.Elsewhere {
		switch {
		case p.Fatal:
			return nil, fmt.Errorf("%s: provider cuda cannot load it: node %s (%s): %s; lower it for cuda", name, p.Node, p.Operator, p.Reason)
		case p.ByDesign:
			shapes = shapes || !p.Constant
		default:
			unwanted = append(unwanted, fmt.Sprintf("%s (%s): %s", p.Node, p.Operator, p.Reason))
		}
	}
	if len(unwanted) == 0 && !shapes && !c.Fallback {
		return map[string]string{disableFallback: "1"}, nil
	}
	if len(unwanted) > 0 && !c.Fallback {
		const few = 2
		more := ""
		if n := len(unwanted) - few; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		return nil, fmt.Errorf("%s: %d of its %d nodes have no kernel of provider cuda: %s%s; cuda.fallback: cpu (--cuda fallback=cpu) lets the CPU run them, 'ortrain inspect --provider cuda' lists them",
			name, len(unwanted), r.Nodes, strings.Join(unwanted[:min(few, len(unwanted))], "; "), more)
	}
	return nil, nil
}
