package pil

// table maps the values of one channel.
type table [256]uint8

// apply maps every value of src through one table.
func (t *table) apply(dst, src Image) {
	check(dst, src)
	d := dst.Pix[:len(src.Pix)]
	for i, v := range src.Pix {
		d[i] = t[v]
	}
}

// tables are those of the channels.
type tables [3]table

func (t *tables) apply(dst, src Image) {
	if src.C == 1 {
		t[0].apply(dst, src)
		return
	}
	check(dst, src)
	t0, t1, t2 := &t[0], &t[1], &t[2]
	d, s := dst.Pix[:len(src.Pix)], src.Pix
	for i := 0; i+2 < len(s) && i+2 < len(d); i += 3 {
		d[i], d[i+1], d[i+2] = t0[s[i]], t1[s[i+1]], t2[s[i+2]]
	}
}

// Invert is ImageOps.invert: 255 − v.
func Invert(dst, src Image) {
	check(dst, src)
	d := dst.Pix[:len(src.Pix)]
	for i, v := range src.Pix {
		d[i] = ^v
	}
}

// Solarize is ImageOps.solarize: values of at least threshold are inverted.
// A threshold above 255 changes nothing.
func Solarize(dst, src Image, threshold float64) {
	var t table
	for v := range t {
		t[v] = uint8(v)
		if float64(v) >= threshold {
			t[v] = ^t[v]
		}
	}
	t.apply(dst, src)
}

// Posterize is ImageOps.posterize: the highest bits of every value are kept,
// 1 to 8. Fewer than one is taken as 0, which older versions of Pillow
// allowed: all black.
func Posterize(dst, src Image, bits int) {
	mask := uint8(0xFF) << (8 - min(max(bits, 0), 8))
	check(dst, src)
	d := dst.Pix[:len(src.Pix)]
	for i, v := range src.Pix {
		d[i] = v & mask
	}
}

// Offset adds a number of levels to each channel, rounded to the nearest and
// clipped to 0…255.
func Offset(dst, src Image, levels [3]float64) {
	var t tables
	for c := range src.C {
		for v := range t[c] {
			t[c][v] = uint8(min(max(float64(v)+levels[c]+0.5, 0), 255))
		}
	}
	t.apply(dst, src)
}
