package decode

import "github.com/ortrain/ortrain/data/decode/internal/gojpeg"

// The colours of a JPEG are enlarged to the size of its luma as libjpeg-turbo
// does (jdsample.c): by a triangle filter for the usual ratios, by repetition
// for the others and where the image is shrunk most.

// plane returns the samples that count of row y.
func plane(p *gojpeg.Plane, y int) []uint8 { return p.Pix[y*p.Stride:][:p.W] }

// enlarge writes row y of the enlarged plane to out, which has room for HX
// times the plane's width; fancy allows the filter.
func enlarge(out []uint8, p *gojpeg.Plane, y int, fancy bool) {
	line := plane(p, y/p.VY)
	wide := p.W > 2
	switch {
	case fancy && wide && p.HX == 2 && p.VY == 1:
		across(out, line)
	case fancy && p.HX == 1 && p.VY == 2:
		bias := 1 + uint32(y%2)
		for i, near := range neighbour(p, y) {
			out[i] = uint8((3*uint32(line[i]) + uint32(near) + bias) >> 2)
		}
	case fancy && wide && p.HX == 2 && p.VY == 2:
		both(out, line, neighbour(p, y))
	default:
		for i, v := range line {
			for k := range p.HX {
				out[i*p.HX+k] = v
			}
		}
	}
}

// neighbour returns the plane's row that is second nearest to row y of the
// plane at twice its height.
func neighbour(p *gojpeg.Plane, y int) []uint8 {
	near := y/2 - 1 + 2*(y%2)
	return plane(p, min(max(near, 0), p.H-1))
}

// across doubles a row.
func across(out, in []uint8) {
	n := len(in)
	out = out[: 2*n : 2*n]
	this := uint32(in[0])
	out[0] = in[0]
	for i, v := range in[1:] {
		next, pair := uint32(v), out[2*i+1:2*i+3:2*i+3]
		pair[0], pair[1] = uint8((3*this+next+2)>>2), uint8((3*next+this+1)>>2)
		this = next
	}
	out[2*n-1] = in[n-1]
}

// both doubles a row that is first mixed with its neighbour.
func both(out, in, near []uint8) {
	n := len(in)
	out, near = out[:2*n:2*n], near[:n]
	this := 3*uint32(in[0]) + uint32(near[0])
	out[0] = uint8((4*this + 8) >> 4)
	near = near[1:]
	for i, v := range in[1:] {
		next, pair := 3*uint32(v)+uint32(near[i]), out[2*i+1:2*i+3:2*i+3]
		pair[0], pair[1] = uint8((3*this+next+7)>>4), uint8((3*next+this+8)>>4)
		this = next
	}
	out[2*n-1] = uint8((4*this + 7) >> 4)
}
