package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

// weightsFlags are the flags that say which weights go into which network.
func weightsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "weights", Usage: "`FILE` of weights for --model: a PyTorch state dict, safetensors, ONNX, or a run folder"},
		&cli.StringFlag{Name: "model", Usage: "network `NAME` of the weights, see ortrain list models"},
		&cli.StringSliceFlag{Name: "option", Usage: "`NAME=VALUE` of the network's options, such as shortcut=B; repeatable"},
		&cli.StringFlag{Name: "mean", Usage: "`LIST` of the mean of each channel that the weights expect, as 0.485,0.456,0.406"},
		&cli.StringFlag{Name: "std", Usage: "`LIST` of the standard deviations, likewise"},
	}
}

// weightsOf reads the flags of weightsFlags; without --weights only --mean and
// --std count.
func weightsOf(c *cli.Context) (w job.WeightsConfig, mean, std []float64, err error) {
	if mean, err = numbers(c, "mean"); err != nil {
		return
	}
	if std, err = numbers(c, "std"); err != nil {
		return
	}
	if len(mean) != len(std) {
		return w, nil, nil, &usageError{c.Command.Name, "--mean and --std go together, with as many numbers each"}
	}
	if !c.IsSet("weights") {
		for _, name := range []string{"model", "option"} {
			if c.IsSet(name) {
				return w, nil, nil, &usageError{c.Command.Name, "--" + name + " goes with --weights"}
			}
		}
		return
	}
	w = job.WeightsConfig{File: c.String("weights"), Model: c.String("model"), Options: map[string]string{}}
	if w.Model == "" {
		return w, nil, nil, &usageError{c.Command.Name, "--weights needs the network that they are of: give --model NAME"}
	}
	for _, o := range c.StringSlice("option") {
		name, value, ok := strings.Cut(o, "=")
		if !ok {
			return w, nil, nil, &usageError{c.Command.Name, fmt.Sprintf("--option %s: expected NAME=VALUE", o)}
		}
		w.Options[name] = value
	}
	for i := range mean {
		w.Info.Mean = append(w.Info.Mean, float32(mean[i]))
		w.Info.Std = append(w.Info.Std, float32(std[i]))
	}
	return
}

func numbers(c *cli.Context, flag string) ([]float64, error) {
	if !c.IsSet(flag) {
		return nil, nil
	}
	var list []float64
	for s := range strings.SplitSeq(c.String(flag), ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return nil, &usageError{c.Command.Name, fmt.Sprintf("--%s: %q is not a number", flag, s)}
		}
		list = append(list, v)
	}
	return list, nil
}

func exportWeights(c *cli.Context, out string) error {
	w, _, _, err := weightsOf(c)
	if err != nil {
		return err
	}
	if w.Input, err = imageSize(c.String("input")); err != nil {
		return &usageError{"export", "--input: " + err.Error()}
	}
	if n := len(w.Info.Mean); n != 0 && n != w.Input[0] {
		return &usageError{"export", fmt.Sprintf("--mean has %d channels, --input %d", n, w.Input[0])}
	}
	w.Info.InputSize = w.Input
	return job.ExportWeights(w, out)
}

// imageSize reads CxHxW.
func imageSize(s string) (size [3]int, err error) {
	parts := strings.Split(s, "x")
	if len(parts) != 3 {
		return size, fmt.Errorf("give the image size as CxHxW, such as 3x32x32, not %q", s)
	}
	for i, p := range parts {
		if size[i], err = strconv.Atoi(p); err != nil || size[i] < 1 || size[i] > 1<<16 {
			return size, fmt.Errorf("give the image size as CxHxW, such as 3x32x32, not %q", s)
		}
	}
	return size, nil
}
