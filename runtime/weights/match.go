package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// Report tells how a file's tensors fit a layout.
type Report struct {
	// Matched counts the tensors of the layout that were filled, Wanted all of
	// them, of parameters and running statistics.
	Matched, Wanted int
	// Prefix was taken off the file's names, such as "module.".
	Prefix string
	// Missing are tensors of the layout that the file has not; Unexpected those
	// of the file that the layout has not; both in order.
	Missing, Unexpected []string
	// Mismatched have the right name and another shape.
	Mismatched []Mismatch
}

// Mismatch is a tensor of the file with another shape than the layout's.
type Mismatch struct {
	Name       string
	Have, Want []int
}

func (m Mismatch) String() string {
	return fmt.Sprintf("%s is %v in the file and %v in the network", m.Name, m.Have, m.Want)
}

// Complete reports whether every tensor of the layout was filled.
func (r *Report) Complete() bool { return r.Matched == r.Wanted }

// String says on one line what matched and what did not, naming the first few.
func (r *Report) String() string {
	s := fmt.Sprintf("%d of %d tensors matched", r.Matched, r.Wanted)
	if r.Prefix != "" {
		s += fmt.Sprintf(" (without the prefix %q)", r.Prefix)
	}
	if len(r.Mismatched) > 0 {
		names := make([]string, len(r.Mismatched))
		for i, m := range r.Mismatched {
			names[i] = m.String()
		}
		s += "; other shapes: " + few(names)
	}
	if len(r.Missing) > 0 {
		s += "; missing from the file: " + few(r.Missing)
	}
	if len(r.Unexpected) > 0 {
		s += "; unknown to the network: " + few(r.Unexpected)
	}
	return s
}

func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// counter is PyTorch's count of batches, which no computation reads.
const counter = "num_batches_tracked"

// Prefix returns what has to be taken off the names of tensors so that as many
// as possible are among wanted: the empty string, or leading parts such as
// "module.", which DataParallel adds.
func Prefix(tensors []*Tensor, wanted map[string]bool) string {
	best, most := "", 0
	tried := map[string]bool{}
	for _, t := range tensors {
		for end := 0; ; {
			prefix := t.Name[:end]
			if !tried[prefix] && len(tried) < 64 {
				tried[prefix] = true
				n := 0
				for _, u := range tensors {
					if rest, ok := strings.CutPrefix(u.Name, prefix); ok && wanted[rest] {
						n++
					}
				}
				if n > most || n == most && n > 0 && len(prefix) < len(best) {
					best, most = prefix, n
				}
			}
			dot := strings.IndexByte(t.Name[end:], '.')
			if dot < 0 {
				break
			}
			end += dot + 1
		}
	}
	return best
}

// Fill writes the tensors into the state by name. Tensors that do not fit are
// left as they are, and reported; state is laid out as m says.
func Fill(m *artifact.Manifest, state *artifact.State, tensors []*Tensor) *Report {
	wanted := map[string]bool{}
	for _, t := range slices.Concat(m.Parameters, m.Statistics) {
		wanted[t.Name] = true
	}
	r := &Report{Wanted: len(wanted), Prefix: Prefix(tensors, wanted)}
	byName := map[string]*Tensor{}
	for _, t := range tensors {
		name := strings.TrimPrefix(t.Name, r.Prefix)
		if byName[name] == nil || strings.HasPrefix(t.Name, r.Prefix) {
			byName[name] = t
		}
		if !wanted[name] && name != counter && !strings.HasSuffix(name, "."+counter) {
			r.Unexpected = append(r.Unexpected, t.Name)
		}
	}
	fill := func(into []float32, ts []artifact.TensorInfo) {
		for _, t := range ts {
			have := byName[t.Name]
			switch {
			case have == nil:
				r.Missing = append(r.Missing, t.Name)
			case !slices.Equal(have.Shape, t.Shape):
				r.Mismatched = append(r.Mismatched, Mismatch{t.Name, have.Shape, t.Shape})
			default:
				copy(into[t.Offset:t.Offset+t.Size], have.Float32s())
				r.Matched++
			}
		}
	}
	fill(state.Params, m.Parameters)
	fill(state.Stats, m.Statistics)
	return r
}
