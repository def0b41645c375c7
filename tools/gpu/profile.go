package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// event is an entry of ONNX Runtime's trace.
type event struct {
	Category string         `json:"cat"`
	Name     string         `json:"name"`
	Duration float64        `json:"dur"` // microseconds
	Args     map[string]any `json:"args"`
}

// profile runs a few steps under ONNX Runtime's profiler and adds the time up by
// operator and by node. On a GPU the trace holds how long a node's kernels take
// only if launches wait for them: CUDA_LAUNCH_BLOCKING=1, which run.sh sets.
func profile(c config) error {
	if c.provider == lower.CUDA && os.Getenv("CUDA_LAUNCH_BLOCKING") != "1" {
		return errors.New("set CUDA_LAUNCH_BLOCKING=1: otherwise the trace holds the time of launches, not of kernels")
	}
	dir, err := os.MkdirTemp("", "ortrain-gpu-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := c.session()
	o.Profile = filepath.Join(dir, "trace")
	c.perRun = 1
	t, done, err := c.trainer(c.spec(), o)
	if err != nil {
		return err
	}
	in := c.inputs(1)
	hyper, err := t.Hyper(map[string]float32{"lr": 0.01})
	for i := 0; err == nil && i < 3+c.steps; i++ {
		_, err = t.StepInputs(in, hyper, 0, 1)
	}
	done()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "trace*.json"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("the profiler left %d traces", len(files))
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	var events []event
	if err := json.Unmarshal(b, &events); err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	return c.summary(events)
}

// summary writes the sums by operator, and by node the largest, to the files
// OUT and OUT with _nodes.
func (c config) summary(events []event) error {
	type sum struct {
		name, op string
		runs     int
		total    float64
		times    []float64
	}
	byNode, byOp := map[string]*sum{}, map[string]*sum{}
	into := func(m map[string]*sum, name, op string, d float64) {
		s := m[name]
		if s == nil {
			s = &sum{name: name, op: op}
			m[name] = s
		}
		s.times = append(s.times, d)
	}
	for _, e := range events {
		node, ok := strings.CutSuffix(e.Name, "_kernel_time")
		op, _ := e.Args["op_name"].(string)
		if e.Category == "Node" && ok && op != "" {
			into(byNode, node, op, e.Duration)
		}
	}
	whole := 0.0
	for _, s := range byNode {
		// The median over the steps keeps the first ones out.
		s.total = measure.Median(s.times)
		whole += s.total
		o := byOp[s.op]
		if o == nil {
			o = &sum{name: s.op}
			byOp[s.op] = o
		}
		o.total += s.total
		o.runs++
	}
	if whole == 0 {
		return errors.New("the trace holds no node")
	}
	ordered := func(m map[string]*sum) []*sum {
		var list []*sum
		for _, s := range m {
			list = append(list, s)
		}
		slices.SortFunc(list, func(a, b *sum) int {
			if a.total != b.total {
				return int(b.total*1e3) - int(a.total*1e3)
			}
			return strings.Compare(a.name, b.name)
		})
		return list
	}
	write := func(path string, header []string, rows [][]string) error {
		for i, r := range rows {
			if i < 25 {
				fmt.Println(strings.Join(r, "  "))
			}
		}
		if path == "" {
			return nil
		}
		return measure.WriteTable(path, append([][]string{header}, rows...))
	}
	fmt.Printf("%s, batch %d, %s, %s: %.2f ms a step in nodes\n", c.model, c.batch, precision(c), c.layout(), whole/1000)
	var rows [][]string
	for _, s := range ordered(byOp) {
		rows = append(rows, []string{s.name, fmt.Sprint(s.runs), fmt.Sprintf("%.3f", s.total/1000), fmt.Sprintf("%.1f %%", 100*s.total/whole)})
	}
	if err := write(c.out, []string{"operator", "nodes", "ms", "share"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, s := range ordered(byNode) {
		rows = append(rows, []string{s.name, s.op, fmt.Sprintf("%.3f", s.total/1000), fmt.Sprintf("%.1f %%", 100*s.total/whole)})
	}
	rows = rows[:min(len(rows), 100)]
	path := c.out
	if path != "" {
		path = strings.TrimSuffix(path, ".csv") + "_nodes.csv"
	}
	return write(path, []string{"node", "operator", "ms", "share"}, rows)
}
