package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime"
)

// checkTolerance is how far a gradient may be from the CPU's, relative to its
// norm, in float32 without TF32, and in mixed precision, where both sides round
// to float16 in places of their own.
//
// A unit of ReLU within a rounding error ε of zero is on here and off there, and
// then a part of the gradient is missing. Of units spread over about [−1, 1] the
// share ε is so near, whatever their number: the gradients of L layers part by
// some √(εL), 1e-3 to 1e-2 in float32 and a tenth in float16, with nothing wrong.
// So states are compared from two starts: as drawn, where only the gradient as a
// whole counts and gross errors show, and with the norms' shifts at
// ±awayFromZero, one channel on and the next off, where hardly a unit is near zero
// and every parameter's gradient counts.
// Two gradients that have nothing to do with each other are √2 apart.
var checkTolerance = map[start]map[bool]float64{
	drawn:   {false: 5e-2, true: 0.8},
	shifted: {false: 1e-3, true: 0.2},
}

const loopTolerance = 1e-3

// leastNorm is the share of the whole gradient's norm below which errors of a
// parameter's are relative to that share: of the gradient of a shift that the next
// norm takes away again little more is left than rounding.
var leastNorm = map[bool]float64{false: 1e-5, true: 1e-3}

// awayFromZero is in units of a norm's standard deviation.
const awayFromZero = 3

type start string

const drawn, shifted start = "drawn", "shifted"

// move takes a state as drawn to the start.
func (s start) move(m *artifact.Manifest, state *artifact.State) {
	if s != shifted {
		return
	}
	for _, p := range m.Parameters {
		if p.Kind != optimizer.Norm || p.Init.Kind == ir.InitOnes {
			continue
		}
		for i := range p.Size {
			state.Params[p.Offset+i] = awayFromZero * float32(1-2*(i%2))
		}
	}
}

// check takes one step on both providers from the same state and compares loss,
// logits and the gradient of every parameter; then several steps in a run with
// as many runs of one, which must not differ at all on one provider.
func check(c config) error {
	c.noTF32, c.float32Images = true, true
	failed := 0
	for _, c.mixed = range []bool{false, true} {
		for _, from := range []start{shifted, drawn} {
			tolerance := checkTolerance[from][c.mixed]
			device, m, err := c.gradients(c.session(), lower.CUDA, from)
			if err != nil {
				return err
			}
			host, _, err := c.gradients(runtime.Options{}, lower.CPU, from)
			if err != nil {
				return err
			}
			worst, where, over := 0.0, "", 0
			for _, p := range m.Parameters {
				part := func(x []float32) []float32 { return x[p.Offset : p.Offset+p.Size] }
				d := apart(part(device.gradient), part(host.gradient), norm(host.gradient)*leastNorm[c.mixed])
				if d > worst || where == "" {
					worst, where = d, p.Name
				}
				if d > tolerance {
					over++
				}
			}
			all := apart(device.gradient, host.gradient, 0)
			row := []string{c.model, fmt.Sprint(c.batch), fmt.Sprint(c.size), precision(c), string(from), c.layout(), fmt.Sprintf("%.2g", math.Abs(float64(device.loss-host.loss))/float64(host.loss)),
				fmt.Sprintf("%.2g", apart(device.logits, host.logits, 0)), fmt.Sprintf("%.2g", all), fmt.Sprintf("%.2g", worst), where,
				fmt.Sprint(over), fmt.Sprint(len(m.Parameters)), c.deviceName()}
			if all > tolerance || from == shifted && over > 0 {
				failed++
			}
			if err := add(c.out, []string{"model", "batch", "size", "precision", "start", "layout", "loss", "logits", "gradient", "worst tensor", "which", "tensors over", "of", "device"}, row); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("the gradient of %s is too far from the CPU's", c.model)
	}
	c.mixed = false
	return c.checkLoop()
}

func precision(c config) string {
	switch {
	case c.mixed:
		return "mixed"
	case c.noTF32:
		return "float32"
	}
	return "tf32"
}

// outcome is what a step gives.
type outcome struct {
	loss             float32
	logits, gradient []float32
}

// gradients takes a step of plain SGD with momentum, whose momentum is then the
// gradient.
func (c config) gradients(o runtime.Options, lowering string, from start) (outcome, *artifact.Manifest, error) {
	s := c.spec()
	s.Loop, s.Lowering = false, lower.Options{Provider: lowering, Kernels: lowering == lower.CUDA && c.kernels()}
	t, done, err := c.trainer(s, o)
	if err != nil {
		return outcome{}, nil, err
	}
	defer done()
	m := t.Manifest()
	state := t.State()
	from.move(m, state)
	if err := t.SetState(state); err != nil {
		return outcome{}, nil, err
	}
	in := c.inputs(1)
	hyper, err := t.Hyper(map[string]float32{"lr": 0.01, "weight_decay": 0})
	if err != nil {
		return outcome{}, nil, err
	}
	r, err := t.StepInputs(in, hyper, 0, 1)
	if err != nil {
		return outcome{}, nil, err
	}
	return outcome{r.Loss, append([]float32(nil), r.Logits...), t.State().Slots[0]}, m, nil
}

// checkLoop compares four steps in one run with four runs of one step.
func (c config) checkLoop() error {
	const n = 4
	var states []*artifact.State
	for _, loop := range []bool{false, true} {
		s := c.spec()
		s.Loop, s.Lowering = loop, lower.Options{Provider: lower.CUDA, Kernels: c.kernels()}
		t, done, err := c.trainer(s, c.session())
		if err != nil {
			return err
		}
		hyper, err := t.Hyper(map[string]float32{"lr": 0.01})
		if err != nil {
			done()
			return err
		}
		in := c.inputs(n)
		if loop {
			var all []float32
			for range n {
				all = append(all, hyper...)
			}
			_, err = t.StepMany(in, all, n)
		} else {
			for i := range n {
				one := runtime.Inputs{Images: in.Images[i*len(in.Images)/n : (i+1)*len(in.Images)/n], Targets: in.Targets[i*len(in.Targets)/n : (i+1)*len(in.Targets)/n]}
				if _, err = t.StepInputs(one, hyper, 0, 1); err != nil {
					break
				}
			}
		}
		if err == nil {
			states = append(states, t.State())
		}
		done()
		if err != nil {
			return err
		}
	}
	d := apart(states[1].Params, states[0].Params, 0)
	fmt.Printf("%s: %d steps in one run are %.2g away from %d runs of one\n", c.model, n, d, n)
	if d > loopTolerance {
		return errors.New("a run of several steps differs from several runs")
	}
	return nil
}

// inputs draws n batches.
func (c config) inputs(n int) runtime.Inputs {
	rng := rand.New(rand.NewPCG(1, 2))
	in := runtime.Inputs{Targets: make([]float32, n*c.batch*c.classes)}
	pixels := n * c.batch * 3 * c.size * c.size
	if c.float32Images {
		in.Images = make([]float32, pixels)
		for i := range in.Images {
			in.Images[i] = float32(rng.NormFloat64())
		}
	} else {
		in.Bytes = make([]uint8, pixels)
		for i := range in.Bytes {
			in.Bytes[i] = uint8(rng.Uint32())
		}
	}
	for i := range n * c.batch {
		in.Targets[i*c.classes+rng.IntN(c.classes)] = 1
	}
	return in
}

func norm(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s)
}

// apart is the norm of a difference relative to that of what is wanted, or to
// least if that is more.
func apart(got, want []float32, least float64) float64 {
	s := 0.0
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		s += d * d
	}
	return math.Sqrt(s) / max(norm(want), least, math.SmallestNonzeroFloat64)
}
