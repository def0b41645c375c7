package nn

import "github.com/ortrain/ortrain/graphs/ir"

// Initialiser names a way to fill the weights of a network.
type Initialiser string

// The ways to fill weights. He's forms keep the variance of activations
// (fan-in) or of gradients (fan-out) behind rectifiers (He et al. 2015,
// "Delving Deep into Rectifiers"); Xavier's keep the mean of both for linear
// units (Glorot and Bengio 2010).
const (
	HeFanIn       Initialiser = "he_fan_in"
	HeFanOut      Initialiser = "he_fan_out"
	HeUniform     Initialiser = "he_uniform"
	XavierNormal  Initialiser = "xavier_normal"
	XavierUniform Initialiser = "xavier_uniform"
)

// Initialisers lists all ways, the default of the small residual networks
// first.
func Initialisers() []string {
	return []string{string(HeFanIn), string(HeFanOut), string(HeUniform), string(XavierNormal), string(XavierUniform)}
}

// weights returns the specification for a tensor of the given fans. The zero
// Initialiser is HeFanOut, torchvision's.
func (i Initialiser) weights(fanIn, fanOut int) ir.Init {
	switch i {
	case HeFanIn:
		return ir.Init{Kind: ir.InitHeNormal, Fan: fanIn}
	case HeUniform:
		return ir.Init{Kind: ir.InitHeUniform, Fan: fanIn}
	case XavierNormal:
		return ir.Init{Kind: ir.InitXavierNormal, FanIn: fanIn, FanOut: fanOut}
	case XavierUniform:
		return ir.Init{Kind: ir.InitXavierUniform, FanIn: fanIn, FanOut: fanOut}
	}
	return ir.Init{Kind: ir.InitHeNormal, Fan: fanOut}
}
