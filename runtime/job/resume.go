package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// resumption is what a run that goes on by itself has found in its folder.
type resumption struct {
	// saved is the newest whole checkpoint and path its file; nil if there is
	// none.
	saved *runtime.Checkpoint
	path  string
	// damaged are newer files that are no whole checkpoints.
	damaged []damagedFile
}

type damagedFile struct {
	path string
	why  error
}

// newestCheckpoint finds the newest whole checkpoint of a run folder. Damaged
// ones that are older are not looked at. The error is that of a folder that
// cannot be read.
func newestCheckpoint(dir string) (found resumption, err error) {
	list, err := Checkpoints(dir)
	if err != nil {
		return found, err
	}
	// The one at the usual place: a second name of the newest one, unless the
	// run was killed between writing and naming.
	usual := filepath.Join(dir, CheckpointFile)
	st, err := os.Stat(usual)
	second := err == nil && slices.ContainsFunc(list, func(s SavedCheckpoint) bool {
		other, err := os.Stat(s.Path)
		return err == nil && os.SameFile(st, other)
	})
	if err == nil && !second {
		found.try(usual)
	}
	for _, s := range slices.Backward(list) {
		if found.saved != nil && s.Step <= found.saved.Step {
			break
		}
		before := found
		found.saved = nil
		if found.try(s.Path); found.saved == nil {
			found.saved, found.path = before.saved, before.path
		}
	}
	return found, nil
}

// try takes the checkpoint in a file, if it is whole.
func (r *resumption) try(path string) {
	c, err := runtime.InspectCheckpoint(path)
	if err != nil {
		r.damaged = append(r.damaged, damagedFile{path, err})
		return
	}
	r.saved, r.path = c, path
}

// damagedSuffix is added to the name of a damaged checkpoint.
const damagedSuffix = ".damaged"

// setAside renames the damaged checkpoints, so that none is taken for one that
// can be kept, and makes the one that was found the newest.
func (r *resumption) setAside(dir string, note func(string)) error {
	for _, d := range r.damaged {
		aside := d.path + damagedSuffix
		note(fmt.Sprintf("skipped %s, now %s", d.why, filepath.Base(aside)))
		if err := os.Rename(d.path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot set a damaged checkpoint aside: %w", err)
		}
	}
	usual := filepath.Join(dir, CheckpointFile)
	if r.saved == nil {
		// A second name of a damaged one.
		if err := os.Remove(usual); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot set a damaged checkpoint aside: %w", err)
		}
		note(fmt.Sprintf("there is no checkpoint to resume from in %s: the run begins anew", dir))
		return nil
	}
	if r.path == usual {
		return nil
	}
	return atomicfile.Link(r.path, usual)
}

// claim checks the run folder, locks it if it is there, and finds what there is
// to resume from.
func (t *run) claim() error {
	c := &t.cfg
	if err := checkOut(c.Out, c.Resume, c.ResumeAuto); err != nil {
		return err
	}
	if exists(c.Out) {
		if err := t.takeLock(); err != nil {
			return err
		}
	}
	if !c.ResumeAuto {
		return nil
	}
	var err error
	if t.resume, err = newestCheckpoint(c.Out); err != nil {
		return fmt.Errorf("cannot resume: %w", err)
	}
	c.Resume = t.resume.saved != nil
	return nil
}

// takeLock locks the run folder and looks again whether it can be taken.
func (t *run) takeLock() error {
	var err error
	if t.lock, err = runlock.Take(t.cfg.Out); err != nil {
		return err
	}
	return checkOut(t.cfg.Out, t.cfg.Resume, t.cfg.ResumeAuto)
}

// checkpointFile is the checkpoint that the run resumes from.
func (t *run) checkpointFile() string {
	if t.resume.saved != nil {
		return t.resume.path
	}
	return filepath.Join(t.cfg.Out, CheckpointFile)
}

// sameRecipe refuses to go on, or to begin anew, with another recipe than the
// folder's. hash is that of the checkpoint; empty if there is none.
func (t *run) sameRecipe(hash string) error {
	path := filepath.Join(t.cfg.Out, RecipeFile)
	if hash == t.hash || hash == "" && !exists(path) {
		return nil
	}
	began, err := recipe.Load(path)
	if err != nil {
		return fmt.Errorf("cannot resume: %w", err)
	}
	return differs(began, t.recipe, path, hash == "")
}

// differs is the error of resuming with another recipe than the one in path. It
// is nil where they are the same after all, if that suffices.
func differs(began, now *recipe.Recipe, path string, suffices bool) error {
	what, err := recipe.Difference(began, now)
	if err != nil {
		return fmt.Errorf("cannot resume: %w", err)
	}
	if what == "" {
		if suffices {
			return nil
		}
		what = "the checkpoint is of another one"
	}
	return fmt.Errorf("cannot resume: the recipe differs from the one in %s that the run began with (%s); resume without changes, or start a new run", path, what)
}

// earlierHint says that there is something before a damaged checkpoint.
func earlierHint(run string, err error) string {
	if !errors.Is(err, runtime.ErrDamaged) && !errors.Is(err, runtime.ErrNotCheckpoint) {
		return ""
	}
	if found, err := newestCheckpoint(run); err != nil || found.saved == nil {
		return ""
	}
	return " (--resume auto does)"
}

// removeLeftovers removes what killed processes have left of files that they were
// writing.
func removeLeftovers(run string) error {
	for _, dir := range []string{run, filepath.Join(run, CheckpointsDir), filepath.Join(run, ArtifactsDir)} {
		if err := atomicfile.Sweep(dir); err != nil {
			return fmt.Errorf("cannot remove what an interrupted run left: %w", err)
		}
	}
	return nil
}
