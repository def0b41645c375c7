package pixel

import "fmt"

// intoPlanes writes what the window shows of src to dst through one table per
// channel, as planes: C×H×W of the window. It panics if the lengths or channels
// do not fit.
func intoPlanes[T float32 | uint8](dst []T, src *Image, v Window, table [][256]T) {
	if len(table) != src.C || len(dst) != v.W*v.H*src.C || len(src.Pix) != src.Elements() {
		panic(fmt.Sprintf("pixel: %d channels: source %v with %d bytes into %d values of %d×%d",
			len(table), src.Size, len(src.Pix), len(dst), v.W, v.H))
	}
	if src.C == 1 {
		greyPlane(dst, src, v, &table[0])
		return
	}
	rgbPlanes(dst, src, v, table)
}

func rgbPlanes[T float32 | uint8](dst []T, src *Image, v Window, table [][256]T) {
	t0, t1, t2 := &table[0], &table[1], &table[2]
	plane, stride := v.W*v.H, src.W*3
	a, b := v.span(src.W)
	for y := range v.H {
		at := y * v.W
		r, g, bl := dst[at:at+v.W], dst[plane+at:plane+at+v.W], dst[2*plane+at:2*plane+at+v.W]
		sy := v.Y + y
		if sy < 0 || sy >= src.H {
			if v.Border == Zero {
				fill(r, t0[0])
				fill(g, t1[0])
				fill(bl, t2[0])
				continue
			}
			sy = reflect(sy, src.H)
		}
		row := src.Pix[sy*stride : (sy+1)*stride]
		if a < b {
			rr, gg, bb := r[a:b], g[a:b:b], bl[a:b:b]
			gg, bb = gg[:len(rr)], bb[:len(rr)]
			if v.Flip {
				p := row[v.column(b-1)*3 : (v.column(a)+1)*3]
				for i := range rr {
					if len(p) < 3 {
						break // never: it only tells the compiler the bounds
					}
					q := p[len(p)-3:]
					rr[i], gg[i], bb[i] = t0[q[0]], t1[q[1]], t2[q[2]]
					p = p[:len(p)-3]
				}
			} else {
				p := row[(v.X+a)*3 : (v.X+b)*3]
				for i := range rr {
					if len(p) < 3 {
						break // never: it only tells the compiler the bounds
					}
					rr[i], gg[i], bb[i] = t0[p[0]], t1[p[1]], t2[p[2]]
					p = p[3:]
				}
			}
		}
		for x := 0; x < v.W; x++ {
			if x == a {
				if x = b; x >= v.W {
					break
				}
			}
			if v.Border == Zero {
				r[x], g[x], bl[x] = t0[0], t1[0], t2[0]
				continue
			}
			p := row[reflect(v.column(x), src.W)*3:]
			r[x], g[x], bl[x] = t0[p[0]], t1[p[1]], t2[p[2]]
		}
	}
}

func greyPlane[T float32 | uint8](dst []T, src *Image, v Window, t *[256]T) {
	a, b := v.span(src.W)
	for y := range v.H {
		out := dst[y*v.W : (y+1)*v.W]
		sy := v.Y + y
		if sy < 0 || sy >= src.H {
			if v.Border == Zero {
				fill(out, t[0])
				continue
			}
			sy = reflect(sy, src.H)
		}
		row := src.Pix[sy*src.W : (sy+1)*src.W]
		for x := range out {
			switch {
			case x >= a && x < b:
				out[x] = t[row[v.column(x)]]
			case v.Border == Zero:
				out[x] = t[0]
			default:
				out[x] = t[row[reflect(v.column(x), src.W)]]
			}
		}
	}
}

func fill[T float32 | uint8](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}
