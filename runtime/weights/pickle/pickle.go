// Package pickle reads the part of Python's pickle format that files of
// tensors are made of, and runs no code.
//
// A pickle is a program for a small stack machine, and its GLOBAL and REDUCE
// instructions may call any function of Python by name: loading one from
// elsewhere is running its author's program. Here a name means what the caller
// says it means; every other name is refused, with its name (ErrCode), before
// anything is done with it. Python's own loader has the same idea in
// torch.load(weights_only=True).
//
// What a pickle can make the reader allocate is bounded by its own size:
// strings are parts of the input, and nothing is repeated or expanded.
package pickle

import (
	"errors"
	"fmt"
)

// ErrCode is wrapped by the error for a pickle that names a function or class
// the caller does not know.
var ErrCode = errors.New("asks for code to be run")

// ErrFormat is wrapped by the errors for data that are no pickle, or cut short.
var ErrFormat = errors.New("not a readable pickle")

// The values of a pickle: nil, bool, int64, float64, string, []byte, Tuple,
// *List, *Dict, Callable, and whatever Callables and Persistent return.
type (
	// Tuple is a fixed list.
	Tuple []any
	// List is a list.
	List struct{ Items []any }
	// Dict is a map in the order of insertion. A key may come twice; the last
	// counts.
	Dict struct{ Keys, Values []any }
	// Callable is what a known name stands for; REDUCE calls it.
	Callable func(args Tuple) (any, error)
)

// Lookup returns the value of a string key.
func (d *Dict) Lookup(key string) (value any, ok bool) {
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if k, is := d.Keys[i].(string); is && k == key {
			return d.Values[i], true
		}
	}
	return nil, false
}

// Machine reads pickles. The zero value knows no name.
type Machine struct {
	// Global returns what "module.name" stands for, or nil to refuse it.
	Global func(module, name string) any
	// Persistent returns what an identifier of the file's own refers to; nil
	// refuses all.
	Persistent func(id any) (any, error)
}

// Load reads one pickle from the start of b and returns its value and its
// length in bytes.
func (m *Machine) Load(b []byte) (value any, length int, err error) {
	r := &reader{machine: m, b: b, memo: map[uint64]any{}}
	value, err = r.run()
	return value, r.at, err
}

// mark separates the stack's items that belong to the next collection.
type mark struct{}

type reader struct {
	machine *Machine
	b       []byte
	at      int
	stack   []any
	memo    map[uint64]any
}

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

func (r *reader) run() (any, error) {
	for {
		if r.at >= len(r.b) {
			return nil, broken("it ends without a stop instruction after %d bytes", r.at)
		}
		op := r.b[r.at]
		r.at++
		if op == '.' {
			return r.pop()
		}
		if err := r.step(op); err != nil {
			return nil, err
		}
	}
}

func (r *reader) push(v any) { r.stack = append(r.stack, v) }

func (r *reader) pop() (any, error) {
	n := len(r.stack)
	if n == 0 {
		return nil, broken("its stack is empty at byte %d", r.at-1)
	}
	v := r.stack[n-1]
	if _, is := v.(mark); is {
		return nil, broken("it reads a mark at byte %d", r.at-1)
	}
	r.stack = r.stack[:n-1]
	return v, nil
}

// top returns the last value without removing it.
func (r *reader) top() (any, error) {
	v, err := r.pop()
	if err == nil {
		r.push(v)
	}
	return v, err
}

// items removes everything down to the last mark.
func (r *reader) items() ([]any, error) {
	for i := len(r.stack) - 1; i >= 0; i-- {
		if _, is := r.stack[i].(mark); is {
			items := append([]any(nil), r.stack[i+1:]...)
			r.stack = r.stack[:i]
			return items, nil
		}
	}
	return nil, broken("a collection without a beginning at byte %d", r.at-1)
}

// take returns the next n bytes.
func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.b)-r.at) {
		return nil, broken("it is cut short: %d bytes are wanted at byte %d of %d", n, r.at, len(r.b))
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b, nil
}

// line returns the bytes before the next line feed.
func (r *reader) line() (string, error) {
	for i := r.at; i < len(r.b); i++ {
		if r.b[i] == '\n' {
			s := string(r.b[r.at:i])
			r.at = i + 1
			return s, nil
		}
	}
	return "", broken("it is cut short within a line at byte %d", r.at)
}

// number reads n bytes, little-endian.
func (r *reader) number(n uint64) (uint64, error) {
	b, err := r.take(n)
	if err != nil {
		return 0, err
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v, nil
}
