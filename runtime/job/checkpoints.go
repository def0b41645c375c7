package job

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// A run's checkpoints lie in a folder of their own, each named after the steps
// that were taken:
//
//	checkpoints/step-00000120.safetensors
//	checkpoints/step-00000160.safetensors
//	checkpoint.safetensors                  a second name of the newest
//
// A checkpoint is written to a temporary file, synced and renamed; then the
// second name is moved to it; then those that are no longer to be kept are
// removed. So a run that is killed at any moment leaves a whole newest one
// under both names, the one from before or the one that was being written.

// CheckpointsDir is the folder of a run's numbered checkpoints.
const CheckpointsDir = "checkpoints"

const (
	numberPrefix = "step-"
	numberSuffix = ".safetensors"
)

// numbered is the file name of the checkpoint after a number of steps.
func numbered(step int64) string { return fmt.Sprintf("%s%08d%s", numberPrefix, step, numberSuffix) }

// SavedCheckpoint is a numbered checkpoint of a run.
type SavedCheckpoint struct {
	Path string `json:"path"`
	// Step counts the steps that were taken.
	Step int64 `json:"step"`
}

// Checkpoints lists a run's numbered checkpoints, oldest first. They are not
// read: some may be damaged.
func Checkpoints(run string) ([]SavedCheckpoint, error) {
	dir := filepath.Join(run, CheckpointsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the checkpoints: %w", err)
	}
	var list []SavedCheckpoint
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), numberPrefix)
		if digits, ok = cutSuffix(digits, ok); !ok {
			continue
		}
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && numbered(n) == e.Name() {
			list = append(list, SavedCheckpoint{filepath.Join(dir, e.Name()), n})
		}
	}
	slices.SortFunc(list, func(a, b SavedCheckpoint) int { return cmp.Compare(a.Step, b.Step) })
	return list, nil
}

func cutSuffix(s string, ok bool) (string, bool) {
	if !ok {
		return s, false
	}
	return strings.CutSuffix(s, numberSuffix)
}

// saveCheckpoint writes a run's newest checkpoint and removes those that the
// recipe does not keep; best is the step of the best one, 0 if there is none.
func saveCheckpoint(run string, m *artifact.Manifest, c *runtime.Checkpoint, keep recipe.Checkpoint, best int64) error {
	dir := filepath.Join(run, CheckpointsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of checkpoints: %w", err)
	}
	path := filepath.Join(dir, numbered(c.Step))
	if err := runtime.WriteCheckpoint(path, m, c); err != nil {
		return err
	}
	if err := atomicfile.Link(path, filepath.Join(run, CheckpointFile)); err != nil {
		return err
	}
	return prune(run, c.Step, keep, best)
}

// prune removes all checkpoints up to the newest but the last few and the best.
// What is beyond the newest, left by a run that went back, stays until the run
// has come by again.
func prune(run string, newest int64, keep recipe.Checkpoint, best int64) error {
	list, err := Checkpoints(run)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s SavedCheckpoint) bool { return s.Step > newest })
	for _, s := range list[:max(0, len(list)-max(1, keep.Keep))] {
		if keep.KeepBest && s.Step == best {
			continue
		}
		if err := os.Remove(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove an old checkpoint: %w", err)
		}
	}
	return nil
}

// chosenCheckpoint returns the file of the checkpoint that a user names: nothing
// for the newest, "best", a number of steps, or a file.
func chosenCheckpoint(run, name string) (string, error) {
	newest := filepath.Join(run, CheckpointFile)
	if name == "" {
		return newest, nil
	}
	step, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name == "best":
		c, err := runtime.InspectCheckpoint(newest)
		if err != nil {
			return "", err
		}
		p, err := readPosition(c)
		if err != nil {
			return "", fmt.Errorf("%s: %w", newest, err)
		}
		if p.Best == nil {
			return "", fmt.Errorf("%s: no epoch is complete yet, so none is the best", run)
		}
		if p.Best.Step == c.Step {
			return newest, nil
		}
		path := filepath.Join(run, CheckpointsDir, numbered(p.Best.Step))
		if !exists(path) {
			return "", fmt.Errorf("the checkpoint of the best epoch, %d (step %d), was not kept in %s; train with checkpoint.keep_best=true to have it",
				p.Best.Epoch, p.Best.Step, run)
		}
		return path, nil
	case err != nil:
		if !exists(name) {
			return "", fmt.Errorf("there is no checkpoint file %s; name one by best, by its number of steps, or by its path", name)
		}
		return name, nil
	}
	if path := filepath.Join(run, CheckpointsDir, numbered(step)); exists(path) {
		return path, nil
	}
	list, err := Checkpoints(run)
	if err != nil {
		return "", err
	}
	var have []string
	for _, s := range list {
		have = append(have, strconv.FormatInt(s.Step, 10))
	}
	if len(have) == 0 {
		return "", fmt.Errorf("%s holds no numbered checkpoints", run)
	}
	return "", fmt.Errorf("%s holds no checkpoint after step %d; it holds %s", run, step, strings.Join(have, ", "))
}
