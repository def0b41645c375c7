package job

import (
	"math"
	"testing"
)

// curve makes a range test of a synthetic loss over ln(lr): it falls as a
// logistic step around middle, and explodes like e^(lr−edge) beyond edge.
func curve(middle, edge float64, noise float64) *LRFind {
	f := &LRFind{}
	const n = 200
	for i := range n {
		lr := 1e-6 * math.Pow(1e7, float64(i)/(n-1))
		v := 2.3 - 2/(1+math.Exp(-2*math.Log(lr/middle))) + math.Exp(min(50, 8*(lr/edge-1)))*0.2
		v += noise * math.Sin(37*float64(i)) // jitter without a trend
		f.Sweep = append(f.Sweep, Sweep{LR: lr, Loss: v, Smooth: v})
	}
	return f
}

// near compares rates up to a factor.
func near(got, want, factor float64) bool { return got > want/factor && got < want*factor }

func TestLRSuggestion(t *testing.T) {
	for _, tt := range []struct {
		f        *LRFind
		steepest float64
	}{
		{curve(1e-3, 1, 0), 1e-3}, {curve(1e-2, 2, 0), 1e-2}, {curve(3e-4, 0.1, 0), 3e-4},
		{curve(1e-3, 1, 0.02), 1e-3},
	} {
		tt.f.suggest()
		if !near(tt.f.Steepest, tt.steepest, 1.35) {
			t.Errorf("steepest at %.3g, want %.3g", tt.f.Steepest, tt.steepest)
		}
		lowest := tt.f.Sweep[0]
		for _, s := range tt.f.Sweep {
			if s.Smooth < lowest.Smooth {
				lowest = s
			}
		}
		if tt.f.Lowest != lowest.LR || tt.f.TenthOfLowest != lowest.LR/10 {
			t.Errorf("lowest at %.3g, a tenth %.3g; want %.3g", tt.f.Lowest, tt.f.TenthOfLowest, lowest.LR)
		}
	}
	// A loss that never falls suggests nothing, nor do too few steps.
	rising := &LRFind{}
	for i := range 100 {
		rising.Sweep = append(rising.Sweep, Sweep{LR: math.Exp(float64(i) / 10), Smooth: 2.3 + float64(i)/100})
	}
	for _, f := range []*LRFind{rising, {}, {Sweep: rising.Sweep[:2]}} {
		if f.suggest(); f.Steepest != 0 || f.TenthOfLowest != 0 {
			t.Errorf("suggested %v and %v", f.Steepest, f.TenthOfLowest)
		}
	}
}

// A sweep that was cut off keeps its order of events: steepest before lowest.
func TestLRSuggestionOfACutSweep(t *testing.T) {
	f := curve(1e-2, 1, 0)
	f.Sweep = f.Sweep[:150]
	f.suggest()
	if !near(f.Steepest, 1e-2, 1.35) || f.Lowest < f.Steepest {
		t.Errorf("steepest %.3g, lowest %.3g", f.Steepest, f.Lowest)
	}
}
