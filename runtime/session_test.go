package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// affine computes y = 2x + b for x and b of shape N×3.
var affine = ortest.Graph{
	Inputs:  []*onnx.ValueInfoProto{ortest.Floats("x", -1, 3), ortest.Floats("b", -1, 3)},
	Outputs: []*onnx.ValueInfoProto{ortest.Floats("y", -1, 3)},
	Nodes: []*onnx.NodeProto{
		ortest.Node("Mul", []string{"x", "two"}, []string{"t"}),
		ortest.Node("Add", []string{"t", "b"}, []string{"y"}),
	},
	Initializers: []*onnx.TensorProto{onnx.Floats("two", nil, []float32{2})},
	Metadata:     map[string]string{"note": "a test"},
}

func TestSessionRuns(t *testing.T) {
	s := affine.Session(t)
	if got := s.Inputs()[0].String() + " " + s.Outputs()[0].String(); got != "x float[N,3] y float[N,3]" {
		t.Errorf("ports are %s", got)
	}
	if s.Metadata()["note"] != "a test" {
		t.Errorf("metadata are %v", s.Metadata())
	}
	y := make([]float32, 6)
	in := map[string]*runtime.Tensor{
		"x": ortest.Tensor(t, []float32{1, 2, 3, 4, 5, 6}, 2, 3), "b": ortest.Tensor(t, []float32{0, 0, 1, 1, -1, -1}, 2, 3)}
	if err := s.Run(in, map[string]*runtime.Tensor{"y": ortest.Tensor(t, y, 2, 3)}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{2, 4, 7, 9, 9, 11}; !slices.Equal(y, want) {
		t.Errorf("y = %v, want %v", y, want)
	}
}

func TestSessionRefusesTensors(t *testing.T) {
	s := affine.Session(t)
	f23 := ortest.Tensor(t, make([]float32, 6), 2, 3)
	f32 := ortest.Tensor(t, make([]float32, 6), 3, 2)
	f6 := ortest.Tensor(t, make([]float32, 6), 6)
	i23, err := runtime.WrapInts(make([]int64, 6), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer i23.Close()
	closed, err := runtime.NewTensor(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	type tensors = map[string]*runtime.Tensor
	out := tensors{"y": f23}
	for name, c := range map[string]struct {
		in, out tensors
		says    string
	}{
		"missing input":  {tensors{"x": f23}, out, "input b float[N,3] is not given"},
		"missing output": {tensors{"x": f23, "b": f23}, nil, "output y float[N,3] is not given"},
		"unknown input":  {tensors{"x": f23, "b": f23, "c": f23}, out, `no input named "c"; it has [x b]`},
		"wrong shape":    {tensors{"x": f32, "b": f23}, out, "input x: the tensor has shape [3,2], the model wants [N,3]"},
		"wrong rank":     {tensors{"x": f23, "b": f6}, out, "input b: the tensor has shape [6]"},
		"wrong type":     {tensors{"x": i23, "b": f23}, out, "input x: the tensor is of type int64, the model wants float"},
		"closed":         {tensors{"x": closed, "b": f23}, out, "input x: the tensor is missing or closed"},
		"nil":            {tensors{"x": nil, "b": f23}, out, "input x: the tensor is missing or closed"},
		"wrong output":   {tensors{"x": f23, "b": f23}, tensors{"y": f32}, "output y: the tensor has shape [3,2]"},
	} {
		err := s.Run(c.in, c.out)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), s.Name()+": ") {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	// Sizes that only the run can tell apart come back from ONNX Runtime.
	one := ortest.Tensor(t, make([]float32, 12), 4, 3)
	err = s.Run(tensors{"x": f23, "b": one}, out)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("sizes that do not broadcast: %v", err)
	}
}

func TestTensorRefuses(t *testing.T) {
	ortest.Open(t)
	for _, shape := range [][]int64{{2, 4}, {-1, 3}, {}, {1 << 40, 1 << 40}} {
		if _, err := runtime.WrapTensor(make([]float32, 6), shape...); err == nil {
			t.Errorf("6 elements passed for shape %v", shape)
		}
	}
}

func TestScalar(t *testing.T) {
	s := ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("a"), ortest.Floats("v", 2)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("b"), ortest.Floats("w", 2)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Neg", []string{"a"}, []string{"b"}),
			ortest.Node("Mul", []string{"a", "v"}, []string{"w"}),
		},
	}.Session(t)
	a, err := runtime.NewScalar(1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := runtime.NewScalar(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := make([]float32, 2)
	in := map[string]*runtime.Tensor{"a": a, "v": ortest.Tensor(t, []float32{1, 2}, 2)}
	out := map[string]*runtime.Tensor{"b": b, "w": ortest.Tensor(t, w, 2)}
	for _, v := range []float32{3, 3, 0.25, 0} {
		if err := a.SetScalar(v); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(in, out); err != nil {
			t.Fatal(err)
		}
		if b.Scalar() != -v || w[1] != 2*v {
			t.Errorf("after setting %g the graph saw %g and %g", v, -b.Scalar(), w[1]/2)
		}
	}
	if err := in["v"].SetScalar(1); err == nil {
		t.Error("SetScalar on a vector passed")
	}
}

func TestSessionRefusesModels(t *testing.T) {
	ortest.Open(t)
	good := affine.Bytes(t)
	unknown := affine
	unknown.Nodes = append(slices.Clone(affine.Nodes), ortest.Node("Frobnicate", []string{"x"}, []string{"z"}))
	noInput := affine
	noInput.Outputs = nil
	dir := t.TempDir()
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":            {nil, "empty"},
		"garbage":          {[]byte("\x89PNG\r\n\x1a\nnot a model at all"), "not an ONNX model"},
		"cut short":        {good[:len(good)-9], "cut short"},
		"unknown operator": {unknown.Bytes(t), "Frobnicate"},
		"no output":        {noInput.Bytes(t), "2 inputs and 0 outputs"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".onnx")
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		check := func(s *runtime.Session, err error) {
			t.Helper()
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v; want %q and the path", name, err, c.says)
			}
		}
		check(runtime.NewSession(path, runtime.Options{}))
		check(runtime.NewSessionFromBytes(path, c.data, runtime.Options{}))
	}
	if _, err := runtime.NewSession(filepath.Join(dir, "none.onnx"), runtime.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestOptions(t *testing.T) {
	ortest.Open(t)
	data := affine.Bytes(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		o    runtime.Options
		says string
	}{
		"everything": {runtime.Options{Provider: "cpu", Threads: 2, Spinning: true, NoMemoryPattern: true, NoArena: true,
			Optimization: runtime.OptimizeBasic, OptimizedModel: filepath.Join(dir, "optimized.onnx"),
			Profile: filepath.Join(dir, "profile"), Config: map[string]string{"session.set_denormal_as_zero": "1"}}, ""},
		"unoptimized":       {runtime.Options{Optimization: runtime.OptimizeNone}, ""},
		"extended":          {runtime.Options{Optimization: runtime.OptimizeExtended}, ""},
		"threads":           {runtime.Options{Threads: -1}, "threads: -1"},
		"unknown provider":  {runtime.Options{Provider: "abacus"}, `unknown provider "abacus"; valid: cpu, cuda`},
		"cuda":              {runtime.Options{Provider: "cuda"}, "provider cuda cannot work here: "},
		"level":             {runtime.Options{Optimization: 9}, "optimization level 9"},
		"model unwriteable": {runtime.Options{OptimizedModel: filepath.Join(dir, "no", "such", "folder")}, "no/such/folder"},
	} {
		s, err := runtime.NewSessionFromBytes("affine", data, c.o)
		if err == nil {
			err = s.Close()
		}
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	if _, err := onnx.ReadFile(filepath.Join(dir, "optimized.onnx")); err != nil {
		t.Error(err)
	}
	if m, _ := filepath.Glob(filepath.Join(dir, "profile*.json")); len(m) != 1 {
		t.Errorf("profiles: %v", m)
	}
	if err := runtime.CheckProvider("cpu"); err != nil {
		t.Error(err)
	}
	if err := runtime.CheckProvider("cudda"); err == nil {
		t.Error("cudda passed")
	}
}

func TestClosedSession(t *testing.T) {
	s := affine.Session(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	x := ortest.Tensor(t, make([]float32, 3), 1, 3)
	err := s.Run(map[string]*runtime.Tensor{"x": x, "b": x}, map[string]*runtime.Tensor{"y": x})
	if err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("running a closed session: %v", err)
	}
}

func TestSessionIsConcurrent(t *testing.T) {
	s := affine.Session(t)
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			x, b, y := make([]float32, 3), make([]float32, 3), make([]float32, 3)
			tx, ty, tb := ortest.Tensor(t, x, 1, 3), ortest.Tensor(t, y, 1, 3), ortest.Tensor(t, b, 1, 3)
			for i := range 200 {
				x[0], b[1] = float32(g), float32(i)
				err := s.Run(map[string]*runtime.Tensor{"x": tx, "b": tb}, map[string]*runtime.Tensor{"y": ty})
				if err != nil || y[0] != 2*float32(g) || y[1] != float32(i) {
					t.Errorf("goroutine %d run %d: %v, %v", g, i, y, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// TestSessionsReturnMemory opens and closes many sessions and looks at the
// resident size of the process.
func TestSessionsReturnMemory(t *testing.T) {
	ortest.Open(t)
	// A weight of 1 MiB a session would add up to 200 MiB if it stayed.
	g := ortest.Graph{
		Inputs:       []*onnx.ValueInfoProto{ortest.Floats("x", -1, 512)},
		Outputs:      []*onnx.ValueInfoProto{ortest.Floats("y", -1, 512)},
		Nodes:        []*onnx.NodeProto{ortest.Node("MatMul", []string{"x", "w"}, []string{"y"})},
		Initializers: []*onnx.TensorProto{onnx.Floats("w", []int64{512, 512}, make([]float32, 512*512))},
	}
	data := g.Bytes(t)
	x, y := ortest.Tensor(t, make([]float32, 512), 1, 512), ortest.Tensor(t, make([]float32, 512), 1, 512)
	cycle := func(n int) {
		for range n {
			s, err := runtime.NewSessionFromBytes("matmul", data, runtime.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(map[string]*runtime.Tensor{"x": x}, map[string]*runtime.Tensor{"y": y}); err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
	}
	cycle(50)
	before := resident(t)
	cycle(200)
	if grown := resident(t) - before; grown > 32<<20 {
		t.Errorf("200 sessions left %d MiB behind", grown>>20)
	} else {
		t.Logf("200 sessions left %d KiB behind", grown>>10)
	}
}
