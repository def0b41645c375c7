package pickle_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/weights/pickle"
)

// TestValues: programs as Python 3.11's pickle.dumps writes them, of protocols
// 0, 2 and 4.
func TestValues(t *testing.T) {
	want := &pickle.Dict{
		Keys:   []any{"a", "b", "c"},
		Values: []any{int64(-1), pickle.Tuple{1.5, nil, true}, &pickle.List{Items: []any{int64(70000), int64(255)}}},
	}
	for name, text := range map[string]string{
		"protocol 0": "(dp0\nVa\np1\nI-1\nsVb\np2\n(F1.5\nNI01\ntp3\nsVc\np4\n(lp5\nI70000\naI255\nas.",
		"protocol 2": "\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01J\xff\xff\xff\xffX\x01\x00\x00\x00bq\x02G?\xf8\x00\x00\x00\x00\x00\x00N\x88\x87q\x03X\x01\x00\x00\x00cq\x04]q\x05(Jp\x11\x01\x00K\xffeu.",
		"protocol 4": "\x80\x04\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94J\xff\xff\xff\xff\x8c\x01b\x94G?\xf8\x00\x00\x00\x00\x00\x00N\x88\x87\x94\x8c\x01c\x94]\x94(Jp\x11\x01\x00K\xffeu.",
	} {
		got, n, err := (&pickle.Machine{}).Load([]byte(text + "rest"))
		if err != nil || n != len(text) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %d of %d bytes, %v", name, got, n, len(text), err)
		}
	}
	for text, want := range map[string]any{
		"\x80\x02\x8a\x00.":                     int64(0),
		"\x80\x02\x8a\x02\x00\xff.":             int64(-256),
		"\x80\x02\x8a\x05\x00\x00\x00\x00\x01.": int64(1 << 32),
		"S'x'\n.":                               "x",
		"L-5L\n.":                               int64(-5),
		"]p7\n0g7\n.":                           &pickle.List{},
		"\x80\x02(K\x01K\x021K\x03.":            int64(3),
		"K\x012\x86.":                           pickle.Tuple{int64(1), int64(1)},
	} {
		got, _, err := (&pickle.Machine{}).Load([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v; want %#v", text, got, err, want)
		}
	}
}

// TestNames: a known name is what the caller says; all others are refused.
func TestNames(t *testing.T) {
	m := &pickle.Machine{
		Global: func(module, name string) any {
			if module+"."+name == "m.f" {
				return pickle.Callable(func(args pickle.Tuple) (any, error) { return args[0], nil })
			}
			return nil
		},
		Persistent: func(id any) (any, error) { return []any{"object", id}, nil },
	}
	for text, want := range map[string]any{
		"cm\nf\n(K\x07tR.": int64(7),
		"K\x05Q.":          []any{"object", int64(5)},
		"}}b.":             &pickle.Dict{},
	} {
		got, _, err := m.Load([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v", text, got, err)
		}
	}
	_, _, err := m.Load([]byte("cbuiltins\neval\n(S'1'\ntR."))
	if !errors.Is(err, pickle.ErrCode) || !strings.Contains(err.Error(), "builtins.eval") {
		t.Errorf("eval: %v", err)
	}
}

func TestBroken(t *testing.T) {
	for _, text := range []string{
		"", "K", "X\xff\xff\xff\xffab.", "\x8e\xff\xff\xff\xff\xff\xff\xff\xffab.", "t.", "(.", "R.", "K\x01K\x01R.",
		"h\x05.", "I12", "Ix\n.", "Sx\n.", "]K\x01s.", "K\x01K\x02a.", "(K\x01d.", "K\x01K\x02b.", "\xf0.", "Q.", "cm", "cm\nf",
		"gx\n.", "\x82\x01.", "(0.",
	} {
		_, _, err := (&pickle.Machine{}).Load([]byte(text))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzLoad: no program runs anything or breaks the machine.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01J\xff\xff\xff\xffu."))
	f.Add([]byte("cos\nsystem\n(S'x'\ntR."))
	f.Add([]byte("]]]]aaa."))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, n, err := (&pickle.Machine{}).Load(b)
		if n > len(b) || err == nil && n == 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
	})
}
