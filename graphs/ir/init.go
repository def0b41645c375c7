package ir

import "fmt"

// InitKind names a way to fill a tensor before training.
type InitKind string

const (
	// InitZeros and InitOnes fill with a constant.
	InitZeros InitKind = "zeros"
	InitOnes  InitKind = "ones"
	// InitHeNormal draws from N(0, 2/fan) (He et al. 2015, "Delving Deep into
	// Rectifiers"); fan is FanOut for convolutions, as in torchvision.
	InitHeNormal InitKind = "he_normal"
	// InitHeUniform draws from U(−b, b), b = √(6/fan).
	InitHeUniform InitKind = "he_uniform"
	// InitXavierNormal draws from N(0, 2/(fan_in+fan_out)) (Glorot & Bengio 2010).
	InitXavierNormal InitKind = "xavier_normal"
	// InitXavierUniform draws from U(−b, b), b = √(6/(fan_in+fan_out)).
	InitXavierUniform InitKind = "xavier_uniform"
	// InitUniform draws from U(−Bound, Bound).
	InitUniform InitKind = "uniform"
)

// Init says how a parameter or statistic is filled before training.
// The zero value fills with zeros.
type Init struct {
	Kind InitKind `json:"kind"`
	// Fan is the fan of the He forms (in or out, as the model chooses);
	// FanIn and FanOut those of the Xavier forms. Units: elements.
	Fan    int `json:"fan,omitempty"`
	FanIn  int `json:"fan_in,omitempty"`
	FanOut int `json:"fan_out,omitempty"`
	// Bound is the half-width of InitUniform.
	Bound float64 `json:"bound,omitempty"`
}

// Validate reports an unknown kind or a missing fan.
func (i Init) Validate() error {
	switch i.Kind {
	case "", InitZeros, InitOnes:
		return nil
	case InitHeNormal, InitHeUniform:
		if i.Fan <= 0 {
			return fmt.Errorf("ir: init %s needs a positive fan, have %d", i.Kind, i.Fan)
		}
		return nil
	case InitXavierNormal, InitXavierUniform:
		if i.FanIn <= 0 || i.FanOut <= 0 {
			return fmt.Errorf("ir: init %s needs positive fans, have %d and %d", i.Kind, i.FanIn, i.FanOut)
		}
		return nil
	case InitUniform:
		if i.Bound <= 0 {
			return fmt.Errorf("ir: init %s needs a positive bound, have %g", i.Kind, i.Bound)
		}
		return nil
	}
	return fmt.Errorf("ir: unknown init %q", i.Kind)
}
