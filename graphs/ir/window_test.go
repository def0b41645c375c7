package ir

import (
	"slices"
	"strings"
	"testing"
)

func TestWindowSizes(t *testing.T) {
	for _, tt := range []struct {
		a    PoolAttr
		in   [2]int
		want [2]int
	}{
		{Windows(3, 2, 1), [2]int{112, 112}, [2]int{56, 56}},
		{Windows(3, 2, 1), [2]int{1, 7}, [2]int{1, 4}},
		{Windows(2, 2, 0), [2]int{7, 8}, [2]int{3, 4}},
		{PoolAttr{Kernel: [2]int{2, 2}, Stride: [2]int{2, 2}, Pad: [4]int{0, 0, 1, 1}}, [2]int{7, 9}, [2]int{4, 5}},
		{PoolAttr{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Pad: [4]int{0, 1, 2, 0}}, [2]int{5, 5}, [2]int{5, 3}},
	} {
		if got, err := tt.a.OutSize(tt.in); err != nil || got != tt.want {
			t.Errorf("%+v of %v gives %v and %v, want %v", tt.a, tt.in, got, err, tt.want)
		}
	}
}

func TestWindowRefusals(t *testing.T) {
	x, y := F32(2, 3, 8, 8), F32(2, 3, 4, 4)
	ok := Windows(2, 2, 0)
	for _, tt := range []struct {
		op   Op
		in   []Type
		want string
	}{
		{MaxPool{Windows(3, 0, 1)}, []Type{x}, "must be positive"},
		{MaxPool{Windows(2, 2, 2)}, []Type{x}, "below the kernel"},
		{MaxPool{Windows(9, 1, 0)}, []Type{x}, "exceeds"},
		{MaxPool{PoolAttr{Kernel: [2]int{3, 3}, Stride: [2]int{4, 4}, Pad: [4]int{0, 0, 2, 2}}}, []Type{F32(1, 1, 4, 4)}, ""},
		{MaxPool{ok}, []Type{F32(2, 3)}, "rank 4"},
		{MaxPoolGrad{ok}, []Type{y, x}, "takes 3 inputs"},
		{MaxPoolGrad{ok}, []Type{x, x, y}, "want 2×3×4×4"},
		{AvgPool{PoolAttr: ok}, []Type{x, x}, "takes 1 inputs"},
		{AvgPoolGrad{AvgPool: AvgPool{PoolAttr: ok}, Input: [2]int{9, 9}}, []Type{F32(2, 3, 5, 5)}, "want 2×3×4×4"},
		{AvgPoolGrad{AvgPool: AvgPool{PoolAttr: ok}, Input: [2]int{9, 9}}, []Type{F32(2, 3)}, "rank 4"},
		{AvgPoolGrad{AvgPool: AvgPool{PoolAttr: ok}, Input: [2]int{9, 9}}, []Type{y}, ""},
		{MaxPoolGrad{ok}, []Type{y, x, y}, ""},
	} {
		_, err := tt.op.Infer(tt.in)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s%+v of %v: error %v, want %q", tt.op.Kind(), tt.op, tt.in, err, tt.want)
		}
	}
}

func TestAvgPoolCounts(t *testing.T) {
	o := AvgPool{PoolAttr: Windows(3, 2, 1)}
	if got := o.Counts(0, 4); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("counts are %v, want 2 and 3", got)
	}
	o.Pad[3] = 2
	if got := o.Counts(1, 4); !slices.Equal(got, []int{2, 3, 1}) {
		t.Errorf("counts are %v, want 2, 3 and 1", got)
	}
	o.CountPad = true
	if got := o.Counts(1, 4); !slices.Equal(got, []int{3, 3, 3}) {
		t.Errorf("counts are %v, want 3 each", got)
	}
}
