package main

import (
	"math/rand/v2"
	"time"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// gemm returns the multiplications and additions a second, in 10⁹, of a large
// float32 matrix product in ONNX Runtime, the best of a few.
func gemm(threads int) (float64, error) {
	const n = 2048
	g := ir.New("gemm")
	g.Output("c", g.One("product", ir.MatMul{}, g.Input("a", ir.F32(n, n)), g.Input("b", ir.F32(n, n))))
	m, err := lower.Lower(g, lower.Options{Threads: threads})
	if err != nil {
		return 0, err
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		return 0, err
	}
	s, err := runtime.NewSessionFromBytes("gemm", b, runtime.Options{Threads: threads})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	tensors := map[string]*runtime.Tensor{}
	for _, name := range []string{"a", "b", "c"} {
		t, err := runtime.NewTensor(n, n)
		if err != nil {
			return 0, err
		}
		defer t.Close()
		for i, f := 0, t.Floats(); i < len(f); i++ {
			f[i] = float32(rand.NormFloat64())
		}
		tensors[name] = t
	}
	best := time.Duration(1 << 62)
	for range 4 {
		begun := time.Now()
		if err := s.Run(map[string]*runtime.Tensor{"a": tensors["a"], "b": tensors["b"]}, map[string]*runtime.Tensor{"c": tensors["c"]}); err != nil {
			return 0, err
		}
		best = min(best, time.Since(begun))
	}
	return 2 * n * n * n / best.Seconds() / 1e9, nil
}
