package average

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got float32, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestEMA follows avg = d·avg + (1−d)·w by hand.
func TestEMA(t *testing.T) {
	avg := []float32{1}
	e := EMA{Decay: 0.5, Every: 1}
	want := 1.0
	for step, w := range []float32{3, -1, 10} {
		Towards(avg, []float32{w}, e.Share(step))
		want = 0.5*want + 0.5*float64(w)
		near(t, "plain", avg[0], want)
	}
	// With warm-up the first factors are 1/10, 2/11, 3/12.
	avg, want = []float32{1}, 1
	e = EMA{Decay: 0.999, Warmup: true, Every: 1}
	for n, d := range []float64{0.1, 2. / 11, 0.25} {
		Towards(avg, []float32{5}, e.Share(n))
		want = d*want + (1-d)*5
		near(t, "warm-up", avg[0], want)
	}
	if d := e.decay(1 << 20); d != 0.999 {
		t.Errorf("decay ends at %v", d)
	}
	avg = []float32{0}
	e = EMA{Decay: 0, Every: 3}
	for step := range 5 {
		Towards(avg, []float32{float32(step)}, e.Share(step))
	}
	near(t, "every third step", avg[0], 2)
}

// TestSWA: 8 epochs from 0.75 on average the ends of epochs 6 and 7.
func TestSWA(t *testing.T) {
	s := SWA{Start: 0.75}
	avg := []float32{99}
	for epoch := range 8 {
		s.EpochEnd(avg, []float32{float32(epoch * epoch)}, epoch, 8)
		if started := s.Started(epoch+1, 8); started != (epoch == 7) {
			t.Errorf("started after epoch %d: %v", epoch, started)
		}
	}
	near(t, "mean of 36 and 49", avg[0], 42.5)
	if (SWA{Start: 0.99}).first(3) != 2 {
		t.Error("the last epoch is not averaged")
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []Options{
		&EMAOptions{Decay: 1, Every: 1}, &EMAOptions{Decay: -0.1, Every: 1}, &EMAOptions{Decay: math.NaN(), Every: 1},
		&EMAOptions{Decay: 0.9}, &SWAOptions{Start: 1}, &SWAOptions{Start: -1},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}
