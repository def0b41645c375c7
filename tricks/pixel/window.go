package pixel

// Border says what lies outside an image.
type Border uint8

// The borders of a window.
const (
	Zero    Border = iota // black: 0 in 8 bits
	Reflect               // the image mirrored at its outermost pixels, which are not repeated
)

// Window is a view of a source image: its pixel (x, y) is the source's
// (X+x, Y+y), or (X+W−1−x, Y+y) when flipped. It may reach beyond the source.
type Window struct {
	X, Y, W, H int
	Flip       bool
	Border     Border
}

// Mover is a Pixels that only moves pixels, so that it can be fused with its
// neighbours and the normaliser into one pass.
type Mover interface {
	Pixels
	// Window returns what Apply would show of an image of size in.
	Window(p *Params, in Size) Window
}

func whole(s Size) Window { return Window{W: s.W, H: s.H} }

// inside reports whether the window shows nothing but pixels of an image of
// w×h.
func (v Window) inside(w, h int) bool {
	return v.X >= 0 && v.Y >= 0 && v.X+v.W <= w && v.Y+v.H <= h
}

// then returns the window on source that shows what next shows of the image
// v makes of it. It is not one window, and ok is false, if next reaches
// beyond an image that is not the whole source.
func (v Window) then(next Window, source Size) (w Window, ok bool) {
	out := Window{W: next.W, H: next.H, X: v.X + next.X, Y: v.Y + next.Y, Flip: v.Flip != next.Flip, Border: v.Border}
	if v.Flip {
		out.X = v.X + v.W - next.X - next.W
	}
	if !next.inside(v.W, v.H) {
		if v.X != 0 || v.Y != 0 || v.W != source.W || v.H != source.H {
			return Window{}, false
		}
		out.Border = next.Border
	}
	return out, true
}

// reflect maps a coordinate to [0, n) by mirroring at the outermost pixels.
func reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	i %= 2 * (n - 1)
	if i < 0 {
		i += 2 * (n - 1)
	}
	if i >= n {
		i = 2*(n-1) - i
	}
	return i
}

// span returns the part [a, b) of the window's columns that lie in a source
// of the given width.
func (v Window) span(width int) (a, b int) {
	a, b = -v.X, width-v.X
	if v.Flip {
		a, b = v.X+v.W-width, v.X+v.W
	}
	a = min(max(a, 0), v.W)
	return a, max(min(b, v.W), a)
}

// column returns the source column of the window's column x, before the
// border is considered.
func (v Window) column(x int) int {
	if v.Flip {
		return v.X + v.W - 1 - x
	}
	return v.X + x
}

// Copy writes what the window shows of src to dst, which has the window's
// size.
func (v Window) Copy(dst, src *Image) {
	c, stride := src.C, src.W*src.C
	a, b := v.span(src.W)
	for y := range v.H {
		out := dst.Pix[y*v.W*c : (y+1)*v.W*c]
		sy := v.Y + y
		if sy < 0 || sy >= src.H {
			if v.Border == Zero {
				clear(out)
				continue
			}
			sy = reflect(sy, src.H)
		}
		row := src.Pix[sy*stride : (sy+1)*stride]
		if v.Flip {
			for x := a; x < b; x++ {
				copy(out[x*c:(x+1)*c], row[v.column(x)*c:])
			}
		} else if a < b {
			copy(out[a*c:b*c], row[(v.X+a)*c:])
		}
		v.edges(out, row, a, b, c, src.W)
	}
}

// edges fills the columns of a row left of a and from b on.
func (v Window) edges(out, row []uint8, a, b, c, width int) {
	if v.Border == Zero {
		clear(out[:a*c])
		clear(out[b*c:])
		return
	}
	for x := 0; x < v.W; x++ {
		if x == a {
			x = b
			if x == v.W {
				break
			}
		}
		copy(out[x*c:(x+1)*c], row[reflect(v.column(x), width)*c:])
	}
}
