package golden

import "github.com/ortrain/ortrain/runtime"

// Start sets a trainer's state to that which the goldens begin with.
func Start(tr *runtime.Trainer) error {
	m, s := tr.Manifest(), tr.State()
	for _, p := range m.Parameters {
		copy(s.Params[p.Offset:p.Offset+p.Size], Initial(p.Name, p.Shape))
	}
	for _, p := range m.Statistics {
		copy(s.Stats[p.Offset:p.Offset+p.Size], Initial(p.Name, p.Shape))
	}
	return tr.SetState(s)
}
