package main

import (
	"strings"

	"github.com/ortrain/ortrain/graphs/kernels"
	"github.com/ortrain/ortrain/runtime/job"
)

// printPlacements lists node by node what a provider would leave to the CPU.
// Constants are only counted.
func (e *environment) printPlacements(provider string, list []job.ModelPlacement) {
	for _, m := range list {
		e.out.println(e.out.bold(m.File))
		if m.Lowering != "" && m.Lowering != provider {
			e.out.printf("  it is written for %s; a run with --provider %s writes another step\n", m.Lowering, provider)
		}
		var rows [][]string
		design, fatal := 0, 0
		for _, p := range m.Elsewhere {
			if p.ByDesign {
				design++
				continue
			}
			if p.Fatal {
				fatal++
			}
			rows = append(rows, []string{p.Node, p.Operator, p.Reason})
		}
		if len(rows) > 0 {
			e.out.table([]string{"node", "operator", "why"}, rows)
		}
		total := []string{plural(m.Nodes, "node") + ": " + count(m.Served) + " on " + provider}
		if n := len(rows) - fatal; n > 0 {
			total = append(total, count(n)+" fall back to the CPU")
		} else {
			total = append(total, "none falls back to the CPU")
		}
		if fatal > 0 {
			total = append(total, count(fatal)+" at which loading fails")
		}
		if design > 0 {
			total = append(total, count(design)+" constants or shapes, which stay there")
		}
		e.out.printf("  %s (kernels of ONNX Runtime %s)\n", strings.Join(total, ", "), kernels.Version)
	}
}
