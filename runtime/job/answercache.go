package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/logits"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// answerCache keeps the teachers' answers on disk: of every batch of every
// epoch as it is trained on, or of every image once, un-augmented. The file's
// name is a digest of all that the answers depend on, so that whatever else of
// the recipe changes the next run finds them. It is for one goroutine.
type answerCache struct {
	teachers *runtime.Ensemble
	store    *logits.Store
	plain    bool
	row      int  // values of an image
	broken   bool // the disk takes no more
}

// openCache opens the cache that a resolved recipe asks for; nil where it asks
// for none. note is told what a person should know.
func openCache(r *recipe.Recipe, d *data.Dataset, e *runtime.Ensemble, library string, note func(string)) (*answerCache, error) {
	if e == nil || r.Teacher.Cache == recipe.CacheNone {
		return nil, nil
	}
	dir := r.Teacher.CacheDir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("teacher.cache_dir: there is no usual cache folder (%w); set it", err)
		}
		dir = filepath.Join(base, "ortrain", "teacher-logits")
	}
	c := &answerCache{teachers: e, plain: r.Teacher.Cache == recipe.CachePlain, row: e.Row()}
	key, err := answersKey(r, d, library)
	if err != nil {
		return nil, fmt.Errorf("teacher.cache: %w", err)
	}
	floats := c.row
	if !c.plain {
		floats *= r.Batch
	}
	path := filepath.Join(dir, key[:32]+"."+r.Teacher.Cache+".logits")
	var replaced bool
	if c.store, replaced, err = logits.Open(path, key, floats); err != nil {
		return nil, fmt.Errorf("teacher.cache: %w", err)
	}
	switch {
	case replaced:
		note(fmt.Sprintf("%s was damaged; the teacher's logits are computed anew", path))
	case c.store.Fresh():
		note("the teacher's logits are kept in " + path)
	default:
		note("the teacher's logits are taken from " + path + " as far as it goes")
	}
	return c, nil
}

// answersKey is a digest of everything that the answers depend on.
func answersKey(r *recipe.Recipe, d *data.Dataset, library string) (string, error) {
	images, err := data.Fingerprint(d.Train)
	if err != nil {
		return "", err
	}
	how := teacherSessions(r)
	k := struct {
		Format         int
		Models         []recipe.TeacherModel
		Images         string
		Mean, Std      []float64
		Threads        int
		Library, CPU   string
		Provider       string
		NoTF32         bool `json:",omitempty"`
		Size, Classes  any
		Plain          bool
		Seed           uint64
		Batch, Repeats int
		Augment        recipe.Augment
		Mix            recipe.Mix
		Epochs         int
	}{
		Format: 1, Images: hex.EncodeToString(images[:]), Mean: r.Data.Mean, Std: r.Data.Std,
		Threads: threads(how.Threads), Library: library, Provider: how.Provider, NoTF32: how.CUDA.NoTF32, CPU: runtime.CPUName(), Size: d.Size, Classes: d.Classes,
		Plain: r.Teacher.Cache == recipe.CachePlain,
	}
	for _, m := range r.Teacher.Models {
		if *m.Weight > 0 {
			m.File, m.Weight = "", nil // the digest says which; all answers are kept
			k.Models = append(k.Models, m)
		}
	}
	if !k.Plain {
		k.Seed, k.Batch, k.Repeats, k.Augment, k.Mix = r.Seed, r.Batch, r.Data.Repeats, r.Augment, r.Mix
		if len(r.Mix) > 0 {
			k.Epochs = r.Epochs // from whose end mixing rests
		}
	}
	b, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// answer fills dst with the answers for a batch, from the file where it has
// them. It returns what a person should know.
func (c *answerCache) answer(ctx context.Context, dst []float32, b *data.Batch) (notes []string, err error) {
	if c.plain {
		for i, image := range b.Indices {
			ok, err := c.store.Read(image, dst[i*c.row:(i+1)*c.row])
			if err == nil && !ok {
				err = fmt.Errorf("%s: row %d has gone", c.store.Path(), image)
			}
			if err != nil {
				return nil, fmt.Errorf("teacher.cache: %w while the run reads it; resume the run to compute it anew", err)
			}
		}
		return nil, nil
	}
	ok, err := c.store.Read(b.Step, dst)
	if ok {
		return nil, nil
	}
	if errors.Is(err, logits.ErrDamaged) {
		notes = append(notes, fmt.Sprintf("%v; computed anew", err))
	} else if err != nil {
		return nil, fmt.Errorf("teacher.cache: %w", err)
	}
	if err := c.teachers.Answer(ctx, dst, b.Normalised(), b.Count); err != nil {
		return nil, err
	}
	if !c.broken {
		if err := c.store.Write(b.Step, dst); err != nil {
			c.broken = true
			notes = append(notes, fmt.Sprintf("the teacher's logits are kept no more: %v", err))
		}
	}
	return notes, nil
}

// fill computes the answers for the un-augmented images that the file lacks;
// progress is told how many are done.
func (c *answerCache) fill(ctx context.Context, r *recipe.Recipe, d *data.Dataset, note func(string), progress func(done, total int)) error {
	if c == nil || !c.plain {
		return nil
	}
	var missing []uint32
	damaged := 0
	row := make([]float32, c.row)
	for image := range d.Train.All() {
		ok, err := c.store.Read(image, row)
		if errors.Is(err, logits.ErrDamaged) {
			damaged++
		} else if err != nil {
			return fmt.Errorf("teacher.cache: %w", err)
		}
		if !ok {
			missing = append(missing, uint32(image))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	lacking := data.Some(d.Train.Source, missing)
	if damaged > 0 {
		note(fmt.Sprintf("%s: %d rows were damaged; computed anew", c.store.Path(), damaged))
	}
	note(fmt.Sprintf("computing the teacher's logits of %d images", lacking.Len()))
	loader, err := data.NewEvalLoader(ctx, lacking, r, evalBatch, false)
	if err != nil {
		return err
	}
	defer loader.Close()
	answers := make([]float32, evalBatch*c.row)
	for done := 0; ; {
		b, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		part := answers[:b.Count*c.row]
		err = c.teachers.Answer(ctx, part, b.Normalised(), b.Count)
		for i := 0; i < b.Count && err == nil; i++ {
			err = c.store.Write(b.Indices[i], part[i*c.row:(i+1)*c.row])
		}
		done += b.Count
		b.Release()
		if err != nil {
			return err
		}
		progress(done, lacking.Len())
	}
}

func (c *answerCache) close() {
	if c != nil {
		c.store.Close()
	}
}
