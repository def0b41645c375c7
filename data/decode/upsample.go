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
				if at := i*p.HX + k; at < len(out) {
					out[at] = v
				}
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
	set := func(i int, v uint32) {
		if i < len(out) {
			out[i] = uint8(v)
		}
	}
	at := func(i int) uint32 { return uint32(in[i]) }
	set(0, at(0))
	set(1, (3*at(0)+at(1)+2)>>2)
	for i := 1; i < n-1; i++ {
		set(2*i, (3*at(i)+at(i-1)+1)>>2)
		set(2*i+1, (3*at(i)+at(i+1)+2)>>2)
	}
	set(2*n-2, (3*at(n-1)+at(n-2)+1)>>2)
	set(2*n-1, at(n-1))
}

// both doubles a row that is first mixed with its neighbour.
func both(out, in, near []uint8) {
	n := len(in)
	set := func(i int, v uint32) {
		if i < len(out) {
			out[i] = uint8(v)
		}
	}
	sum := func(i int) uint32 { return 3*uint32(in[i]) + uint32(near[i]) }
	last, this, next := uint32(0), sum(0), sum(1)
	set(0, (4*this+8)>>4)
	set(1, (3*this+next+7)>>4)
	for i := 1; i < n-1; i++ {
		last, this, next = this, next, sum(i+1)
		set(2*i, (3*this+last+8)>>4)
		set(2*i+1, (3*this+next+7)>>4)
	}
	last, this = this, next
	set(2*n-2, (3*this+last+8)>>4)
	set(2*n-1, (4*this+7)>>4)
}
