package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLookingCommands(t *testing.T) {
	images, dir := bars(t), t.TempDir()
	data := []string{"--data", "mnist", "--data-dir", images}
	sheet := filepath.Join(dir, "sheet.png")
	o := must(t, append([]string{"preview", "--out", sheet, "--batches", "2", "--batch", "16", "--set", "mix=[ricap]"}, data...)...)
	if !strings.Contains(o.out, "epoch 1, batch 2: 16 of 16 images, mixed by ricap") || len(read(t, sheet)) == 0 {
		t.Errorf("preview: %s", o.out)
	}
	must(t, append([]string{"preview", "--tricks", "--out", sheet}, data...)...)

	curve := filepath.Join(dir, "lr.png")
	o = must(t, append([]string{"schedule", "--out", curve, "--epochs", "4", "--batch", "64"}, data...)...)
	if !strings.Contains(o.out, "16 steps, 4 epochs of 4 steps") || !strings.Contains(o.out, "warm-up ends") || len(read(t, curve)) == 0 {
		t.Errorf("schedule: %s", o.out)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"preview", "--out", "x.jpg"}, "--out x.jpg: the picture is a PNG; give a name that ends in .png"},
		{[]string{"preview", "--batches", "0"}, "--batches 0: give at least 1"},
		{[]string{"preview", "--tricks", "--batches", "2"}, "--tricks shows one image, so --batches says nothing"},
		{[]string{"preview", "--image", "2"}, "--image chooses the image of --tricks"},
		{[]string{"runs", "a", "b"}, "give one folder"},
		{[]string{"runs", "--out", "x.jpg", dir}, "--out x.jpg: the picture is a PNG"},
		{[]string{"runs", "--out", "x.png", "--no-picture", dir}, "--out and --no-picture exclude each other"},
		{[]string{"runs", filepath.Join(dir, "nowhere")}, "cannot list runs"},
		{[]string{"schedule", "--steps-per-epoch", "0"}, "--steps-per-epoch 0: give at least 1"},
		{[]string{"schedule", "--recipe", "a", "--run", "b"}, "--recipe and --run exclude each other"},
		{[]string{"augment"}, "say what to do: ortrain augment search"},
		{[]string{"augment", "find"}, "say what to do: ortrain augment search"},
		{[]string{"augment", "search", "--folds", "0"}, "--folds 0: give at least 1"},
		{append([]string{"augment", "search", "--folds", "1"}, data...), "folds: must be 2 to 100, got 1"},
		{append([]string{"augment", "search", "--objective", "errors"}, data...), `objective: must be loss or accuracy, got "errors"`},
		{append([]string{"augment", "search", "--out", "p.txt"}, data...), `the policy file "p.txt" must end in .yaml`},
		{[]string{"lr-find", "--min", "0"}, "--min 0: give a rate above 0"},
		{[]string{"lr-find", "--steps", "3"}, "--steps 3: give at least 20"},
		{append([]string{"lr-find", "--min", "1", "--max", "0.5"}, data...), "a sweep from 1 to 0.5"},
		{append([]string{"preview", "--set", "mix=[mixup, mixup]", "--set", "mix.0.p=1"}, data...), "the other tricks' p leave no batch for mixup"},
	} {
		if o := ortrain(t, tt.args...); o.code != 1 || !strings.Contains(o.err, tt.want) || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q, want %s", tt.args, o.code, o.err, tt.want)
		}
	}
}
