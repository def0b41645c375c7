package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime"
)

// declareFlags say of a model what its metadata does not.
func declareFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "mean", Usage: "mean of each channel for pixels in 0…1, as `R,G,B`; goes before the metadata"},
		&cli.StringFlag{Name: "std", Usage: "standard deviation of each channel, as `R,G,B`"},
		&cli.StringFlag{Name: "input-size", Usage: "input size `C×H×W`, such as 3x224x224, of a model that leaves it open"},
		&cli.IntFlag{Name: "resize", Usage: "scale the short side to `N` pixels before the middle is cut out"},
		&cli.StringFlag{Name: "class-names", Usage: "class names: a `FILE` with one a line, or a,b,c"},
	}
}

// declaredInfo reads declareFlags.
func declaredInfo(c *cli.Context) (runtime.ModelInfo, error) {
	var info runtime.ModelInfo
	name := c.Command.Name
	for flag, into := range map[string]*[]float32{"mean": &info.Mean, "std": &info.Std} {
		if !c.IsSet(flag) {
			continue
		}
		for _, text := range strings.Split(c.String(flag), ",") {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 32)
			if err != nil {
				return info, &usageError{name, fmt.Sprintf("--%s %q: give a number for each channel, such as 0.485,0.456,0.406", flag, c.String(flag))}
			}
			*into = append(*into, float32(v))
		}
	}
	if len(info.Mean) != len(info.Std) {
		return info, &usageError{name, fmt.Sprintf("--mean and --std go together: %d and %d channels are given", len(info.Mean), len(info.Std))}
	}
	for _, v := range info.Std {
		if !(v > 0) {
			return info, &usageError{name, fmt.Sprintf("--std %v: standard deviations are positive", v)}
		}
	}
	if text := c.String("input-size"); text != "" {
		parts := strings.FieldsFunc(text, func(r rune) bool { return r == 'x' || r == '×' || r == ',' })
		for i, part := range parts {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || len(parts) != 3 {
				return info, &usageError{name, fmt.Sprintf("--input-size %q: give channels, height and width, such as 3x224x224", text)}
			}
			info.InputSize[i] = n
		}
	}
	if c.IsSet("resize") {
		if info.Resize = c.Int("resize"); info.Resize < 1 {
			return info, &usageError{name, fmt.Sprintf("--resize %d: give a number of pixels", info.Resize)}
		}
	}
	var err error
	info.ClassNames, err = classNames(c.String("class-names"))
	return info, err
}

// classNames reads a file of names, or splits a list of them.
func classNames(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	file, err := os.ReadFile(text)
	switch {
	case err == nil:
		names := strings.Split(strings.TrimRight(string(file), "\r\n"), "\n")
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return names, nil
	case errors.Is(err, os.ErrNotExist) && strings.Contains(text, ","):
		return strings.Split(text, ","), nil
	}
	return nil, fmt.Errorf("--class-names: %w; give a file with one name a line, or a,b,c", err)
}

// declareHint says which flags complete a model that says too little.
func declareHint(err error) error {
	var missing *runtime.UndeclaredError
	if !errors.As(err, &missing) {
		return err
	}
	flags := map[string]string{runtime.MetaMean: "--mean", runtime.MetaStd: "--std", runtime.MetaInputSize: "--input-size"}
	var give []string
	for _, key := range missing.Keys {
		give = append(give, flags[key])
	}
	return fmt.Errorf("%w; give %s (and --class-names for names instead of numbers)", err, strings.Join(give, " and "))
}
