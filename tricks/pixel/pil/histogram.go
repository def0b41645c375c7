package pil

// histogram counts the values of each channel.
type histogram [3][256]int32

func (h *histogram) count(m Image) {
	if m.C == 1 {
		for _, v := range m.Pix {
			h[0][v]++
		}
		return
	}
	h0, h1, h2 := &h[0], &h[1], &h[2]
	for i := 0; i+2 < len(m.Pix); i += 3 {
		h0[m.Pix[i]]++
		h1[m.Pix[i+1]]++
		h2[m.Pix[i+2]]++
	}
}

// AutoContrast is ImageOps.autocontrast without cut-off: each channel's
// darkest value becomes 0 and its lightest 255. A channel of one value stays.
func AutoContrast(dst, src Image) {
	var h histogram
	var t tables
	h.count(src)
	for c := range src.C {
		stretch(&t[c], &h[c])
	}
	t.apply(dst, src)
}

func stretch(t *table, h *[256]int32) {
	lo, hi := 0, 255
	for lo < 255 && h[lo] == 0 {
		lo++
	}
	for hi > 0 && h[hi] == 0 {
		hi--
	}
	if hi <= lo {
		identity(t)
		return
	}
	scale := 255 / float64(hi-lo)
	offset := float64(-lo) * scale
	for v := range t {
		t[v] = uint8(min(max(int(float64(float64(v)*scale)+offset), 0), 255))
	}
}

// Equalize is ImageOps.equalize: each channel's histogram is made flat. A
// channel of one value, or of so few pixels that a level holds less than one,
// stays.
func Equalize(dst, src Image) {
	var h histogram
	var t tables
	h.count(src)
	for c := range src.C {
		flatten(&t[c], &h[c])
	}
	t.apply(dst, src)
}

func flatten(t *table, h *[256]int32) {
	var sum, last, used int32
	for _, n := range h {
		if n > 0 {
			sum += n
			last = n
			used++
		}
	}
	step := (sum - last) / 255
	if used <= 1 || step == 0 {
		identity(t)
		return
	}
	n := step / 2
	for v := range t {
		// Like Pillow's table of bytes, which clips.
		t[v] = uint8(min(n/step, 255))
		n += h[v]
	}
}

func identity(t *table) {
	for v := range t {
		t[v] = uint8(v)
	}
}
