package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/calibrate"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/nearest"
)

func (e *environment) export() *cli.Command {
	var methods []string
	for _, m := range calibrate.Methods() {
		methods = append(methods, m.Name)
	}
	return command(&cli.Command{
		Name:  "export",
		Usage: "write a run's newest state, or a file of weights, as a model to deploy",
		Description: `Batch norms are folded into the weights before them, dropout and stochastic
depth are gone, the batch is free. The model carries class names, normalisation
and where it comes from as metadata and needs nothing of ortrain. If FILE ends in
.safetensors, the named tensors are written instead, for PyTorch and others. An
existing file is replaced only when the new one is complete.

--float16 and --int8 also measure what was lost against float32 on the held-out
images. 'ortrain verify' checks the file against the run.

  ortrain export --run runs/demo --out digits.onnx
  ortrain export --run runs/demo --out digits.onnx --preprocess --softmax --top-k 3
  ortrain export --run runs/demo --out digits-int8.onnx --int8 --card digits.md
  ortrain export --weights resnet56.pth --model resnet56 --input 3x32x32 --out teacher.onnx`,
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run folder `DIR`"},
			&cli.StringFlag{Name: "out", Usage: "ONNX or safetensors `FILE` to write"},
			&cli.StringFlag{Name: "input", Usage: "image size `CxHxW` of a model made from --weights"},
			&cli.BoolFlag{Name: "softmax", Usage: "give probabilities instead of logits (output 'probabilities')"},
			&cli.IntFlag{Name: "top-k", Usage: "give only the `K` best classes (outputs 'top_scores' and 'top_classes')"},
			&cli.BoolFlag{Name: "preprocess", Usage: "take raw pixels (input 'pixels', uint8, N×height×width×C of any size) and resize, crop and normalise them in the graph"},
			&cli.IntFlag{Name: "resize", Usage: "with --preprocess: scale the short side to `N` pixels before cutting out the middle (default: the largest middle window is scaled)"},
			&cli.StringFlag{Name: "interpolation", Usage: "with --preprocess: `FILTER` bilinear or bicubic (default bilinear, antialiased, as images are loaded)"},
			&cli.BoolFlag{Name: "float16", Usage: "weights and computing in float16"},
			&cli.BoolFlag{Name: "float16-ports", Usage: "with --float16: input and output in float16 too"},
			&cli.BoolFlag{Name: "float16-weights", Usage: "weights in float16, computing in float32"},
			&cli.BoolFlag{Name: "int8", Usage: "static quantisation to 8 bits (QDQ, weights by channel)"},
			&cli.StringFlag{Name: "calibration", Usage: "with --int8: `METHOD` of finding ranges: " + strings.Join(methods, ", ") + " or percentile:P" + usual(calibrate.DefaultMethod)},
			&cli.IntFlag{Name: "calibration-images", Usage: "with --int8: calibrate on `N` training images (default 512)"},
			&cli.StringFlag{Name: "keep-float", Usage: "with --int8: leave the `LAYERS` first, last or first,last in float32"},
			&cli.BoolFlag{Name: "full-range", Usage: "with --int8: weights of 8 bits instead of 7; x86 processors without 8-bit dot products (VNNI) then compute wrongly, unless their ONNX Runtime session sets session.x64quantprecision to 1"},
			&cli.BoolFlag{Name: "unfolded", Usage: "leave the batch norms on their own"},
			&cli.BoolFlag{Name: "measure", Usage: "measure accuracy and speed also of float32 (float16 and int8 always do)"},
			&cli.BoolFlag{Name: "no-measure", Usage: "do not measure"},
			&cli.IntFlag{Name: "limit", Usage: "measure on at most `N` held-out images (default: all)"},
			&cli.Float64Flag{Name: "max-drop", Usage: "warn when more than this `SHARE` of top-1 accuracy is lost (default 0.01: one point)"},
			&cli.BoolFlag{Name: "refuse", Usage: "do not write a model that lost more than --max-drop, and fail"},
			&cli.StringFlag{Name: "license", Usage: "`LICENCE` of the weights, for the metadata and the card"},
			&cli.StringFlag{Name: "card", Usage: "also write a model card, Markdown `FILE` with the picture of the curves beside it"},
		}, append(append(weightsFlags(), dataFlags(true)...), checkpointFlag(), jsonFlag())...), executionFlags()...),
		Action: e.runExport,
	})
}

func (e *environment) runExport(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.IsSet("weights") {
		return e.runExportWeights(c)
	}
	config, err := exportConfig(c)
	if err != nil {
		return err
	}
	bar := newProgress(e.err)
	config.Progress = bar.Stage
	r, err := job.Export(c.Context, config)
	bar.close()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.out.json(r)
	}
	e.printExport(r)
	return nil
}

// runExportWeights writes a model, or tensors, made from a file of weights.
func (e *environment) runExportWeights(c *cli.Context) error {
	out := c.String("out")
	switch {
	case c.IsSet("run"):
		return &usageError{"export", "--run and --weights exclude each other"}
	case c.IsSet("checkpoint"):
		return &usageError{"export", "--checkpoint is one of a run: give the run with --run DIR"}
	case out == "":
		return &usageError{"export", "give the file to write with --out FILE"}
	}
	if err := exportWeights(c, out); err != nil {
		return err
	}
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	e.out.printf("%s  %s\n", out, fileSize(st.Size()))
	return nil
}

// exportConfig reads the flags.
func exportConfig(c *cli.Context) (job.ExportConfig, error) {
	bad := func(format string, args ...any) (job.ExportConfig, error) {
		return job.ExportConfig{}, &usageError{"export", fmt.Sprintf(format, args...)}
	}
	if c.String("run") == "" || c.String("out") == "" {
		return bad("give the run with --run DIR (or --weights FILE --model NAME) and the file to write with --out FILE")
	}
	images, err := dataOf(c)
	if err != nil {
		return job.ExportConfig{}, err
	}
	execution, err := executionOf(c)
	if err != nil {
		return job.ExportConfig{}, err
	}
	x := job.ExportConfig{
		Run: c.String("run"), Checkpoint: c.String("checkpoint"), Out: c.String("out"), HalfPorts: c.Bool("float16-ports"), Unfolded: c.Bool("unfolded"),
		Softmax: c.Bool("softmax"), TopK: c.Int("top-k"), Preprocess: c.Bool("preprocess"), Resize: c.Int("resize"),
		Interpolation: c.String("interpolation"), License: c.String("license"), Card: c.String("card"),
		Limit: c.Int("limit"), MaxDrop: c.Float64("max-drop"), Refuse: c.Bool("refuse"),
		Calibration: job.Calibration{Images: c.Int("calibration-images"), Method: c.String("calibration")},
		Data:        images, Execution: execution,
	}
	var asked []string
	for _, p := range []string{job.Float16, job.Float16Weights, job.Int8} {
		if c.Bool(p) {
			asked = append(asked, "--"+p)
			x.Precision = p
		}
	}
	if len(asked) > 1 {
		return bad("%s exclude each other", strings.Join(asked, " and "))
	}
	for _, name := range []string{"top-k", "resize", "calibration-images", "limit"} {
		if c.IsSet(name) && c.Int(name) < 1 {
			return bad("--%s %d: give at least 1", name, c.Int(name))
		}
	}
	for _, needs := range []struct{ flag, of string }{
		{"resize", "preprocess"}, {"interpolation", "preprocess"}, {"float16-ports", "float16"},
		{"calibration", "int8"}, {"calibration-images", "int8"}, {"keep-float", "int8"}, {"full-range", "int8"},
	} {
		if c.IsSet(needs.flag) && !c.Bool(needs.of) {
			return bad("--%s goes with --%s", needs.flag, needs.of)
		}
	}
	if c.IsSet("max-drop") && !(x.MaxDrop >= 0 && x.MaxDrop < 1) {
		return bad("--max-drop %v: give a share from 0 to below 1", x.MaxDrop)
	}
	if c.IsSet("max-drop") && x.MaxDrop == 0 {
		x.MaxDrop = 1e-12 // any loss; 0 stands for the default
	}
	x.Calibration.FullRange = c.Bool("full-range")
	for _, layer := range splitNames(strings.Split(c.String("keep-float"), ",")) {
		switch layer {
		case "":
		case "first":
			x.Calibration.KeepFirst = true
		case "last":
			x.Calibration.KeepLast = true
		default:
			return bad("--keep-float %q%s", layer, nearest.Hint(layer, []string{"first", "last"}))
		}
	}
	if x.Measure = x.Precision != "" || x.Card != "" || c.Bool("measure"); c.Bool("no-measure") {
		if c.Bool("measure") || x.Refuse {
			return bad("--no-measure excludes --measure and --refuse")
		}
		x.Measure = false
	}
	return x, nil
}

func (e *environment) printExport(r *job.ExportResult) {
	what := r.Precision
	if f := r.Folded; f != nil && f.Norms > 0 {
		what += fmt.Sprintf(", %s folded", plural(f.Norms, "batch norm"))
		if f.Kept > 0 {
			what += fmt.Sprintf(" and %d kept", f.Kept)
		}
	}
	e.out.printf("%s  %s, %s parameters, %s\n", e.out.bold(r.File), fileSize(r.Bytes), count(r.Parameters), what)
	for i, p := range r.Inputs {
		e.field(first(i, "input"), "%s", p)
	}
	for i, p := range r.Outputs {
		e.field(first(i, "output"), "%s", p)
	}
	if len(r.Measured) > 0 {
		e.out.println("")
		e.printMeasured(r.Measured, r.HeldOut)
	}
	if r.Card != "" {
		e.field("card", "%s", r.Card)
	}
	for _, w := range r.Warnings {
		e.err.println(e.err.red("warning:") + " " + w)
	}
}

// printMeasured compares the forms of a model.
func (e *environment) printMeasured(forms []job.Measured, heldOut string) {
	header := []string{"form", ">size", ">top-1", ">top-5", ">loss", ">same class"}
	for _, l := range forms[0].Latency {
		header = append(header, fmt.Sprintf(">batch %d", l.Batch), ">95 %")
	}
	var rows [][]string
	for _, f := range forms {
		row := []string{f.Form, fileSize(f.Bytes), percent(f.Top1, 2), percent(f.Top5, 2), fmt.Sprintf("%.4f", f.Loss), percent(f.Agreement, 2)}
		for _, l := range f.Latency {
			row = append(row, milliseconds(l.P50), milliseconds(l.P95))
		}
		rows = append(rows, row)
	}
	e.out.printf("on %s %s images:\n", count(forms[0].Images), heldOut)
	e.out.table(header, rows)
}
