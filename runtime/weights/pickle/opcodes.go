package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// step carries out one instruction. The letters are those of Python's
// pickletools; instructions that no file of tensors holds are refused.
func (r *reader) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := r.take(1)
		return err
	case 0x95: // FRAME
		_, err := r.take(8)
		return err
	case '(':
		r.push(mark{})
	case '0': // POP
		_, err := r.pop()
		return err
	case '1': // POP_MARK
		_, err := r.items()
		return err
	case '2': // DUP
		v, err := r.top()
		if err != nil {
			return err
		}
		r.push(v)
	case 'N':
		r.push(nil)
	case 0x88, 0x89:
		r.push(op == 0x88)
	case ')', ']', '}':
		r.push(map[byte]any{')': Tuple{}, ']': &List{}, '}': &Dict{}}[op])
	case 't', 'l', 'd':
		return r.collect(op)
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		return r.tuple(int(op) - 0x84)
	case 'a', 'e', 's', 'u':
		return r.extend(op)
	case 'q', 'r', 'p', 0x94, 'h', 'j', 'g':
		return r.remember(op)
	case 'c', 0x93, 'R', 0x81, 'b', 'Q', 'P', 'i', 'o', 0x92, 0x82, 0x83, 0x84:
		return r.object(op)
	default:
		return r.literal(op)
	}
	return nil
}

// literal pushes a number or a string.
func (r *reader) literal(op byte) error {
	widths := map[byte]uint64{'K': 1, 'M': 2, 'J': 4, 0x8a: 1, 0x8b: 4, 'U': 1, 'T': 4, 'X': 4, 0x8c: 1, 0x8d: 8, 'C': 1, 'B': 4, 0x8e: 8}
	switch op {
	case 'K', 'M', 'J':
		v, err := r.number(widths[op])
		if err != nil {
			return err
		}
		if op == 'J' {
			v = uint64(int64(int32(v)))
		}
		r.push(int64(v))
	case 0x8a, 0x8b: // LONG1, LONG4
		n, err := r.number(widths[op])
		if err != nil {
			return err
		}
		b, err := r.take(n)
		if err != nil {
			return err
		}
		r.push(long(b))
	case 'U', 'T', 'X', 0x8c, 0x8d:
		s, err := r.counted(widths[op])
		if err != nil {
			return err
		}
		r.push(string(s))
	case 'C', 'B', 0x8e:
		s, err := r.counted(widths[op])
		if err != nil {
			return err
		}
		r.push(s)
	case 'G':
		b, err := r.take(8)
		if err != nil {
			return err
		}
		r.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 'I', 'L', 'F', 'V', 'S':
		s, err := r.line()
		if err != nil {
			return err
		}
		return r.text(op, s)
	default:
		return broken("instruction 0x%02x at byte %d has no place in a file of tensors", op, r.at-1)
	}
	return nil
}

// counted reads a length and as many bytes.
func (r *reader) counted(width uint64) ([]byte, error) {
	n, err := r.number(width)
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// long decodes a two's complement number. One that does not fit 64 bits, such
// as PyTorch's magic number, stays as its bytes.
func long(b []byte) any {
	if len(b) > 8 {
		return b
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		v |= math.MaxUint64 << (8 * n)
	}
	return int64(v)
}

// text pushes a literal of the readable protocol.
func (r *reader) text(op byte, s string) error {
	switch op {
	case 'I', 'L':
		if op == 'I' && (s == "00" || s == "01") {
			r.push(s == "01")
			return nil
		}
		v, err := strconv.ParseInt(strings.TrimSuffix(s, "L"), 10, 64)
		if err != nil {
			return broken("%.40q is not a number", s)
		}
		r.push(v)
	case 'F':
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return broken("%.40q is not a number", s)
		}
		r.push(v)
	case 'V':
		r.push(s)
	case 'S':
		if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
			return broken("%.40q is not a quoted string", s)
		}
		r.push(s[1 : len(s)-1])
	}
	return nil
}

func (r *reader) tuple(n int) error {
	t := make(Tuple, n)
	for i := n - 1; i >= 0; i-- {
		v, err := r.pop()
		if err != nil {
			return err
		}
		t[i] = v
	}
	r.push(t)
	return nil
}

// collect makes a tuple, list or dict of everything since the mark.
func (r *reader) collect(op byte) error {
	items, err := r.items()
	if err != nil {
		return err
	}
	switch op {
	case 't':
		r.push(Tuple(items))
	case 'l':
		r.push(&List{items})
	case 'd':
		d := &Dict{}
		r.push(d)
		return d.add(items)
	}
	return nil
}

// add appends alternating keys and values.
func (d *Dict) add(items []any) error {
	if len(items)%2 != 0 {
		return broken("a key has no value")
	}
	for i := 0; i < len(items); i += 2 {
		d.Keys = append(d.Keys, items[i])
		d.Values = append(d.Values, items[i+1])
	}
	return nil
}

// extend adds to the list or dict below: one item, or all since the mark.
func (r *reader) extend(op byte) error {
	var items []any
	var err error
	switch op {
	case 'a':
		items = make([]any, 1)
	case 's':
		items = make([]any, 2)
	default:
		items, err = r.items()
	}
	if op == 'a' || op == 's' {
		for i := len(items) - 1; i >= 0 && err == nil; i-- {
			items[i], err = r.pop()
		}
	}
	if err != nil {
		return err
	}
	into, err := r.top()
	if err != nil {
		return err
	}
	switch c := into.(type) {
	case *List:
		if op == 'a' || op == 'e' {
			c.Items = append(c.Items, items...)
			return nil
		}
	case *Dict:
		if op == 's' || op == 'u' {
			return c.add(items)
		}
	}
	return broken("items are added to a %T at byte %d", into, r.at-1)
}

// remember stores and recalls values by number.
func (r *reader) remember(op byte) error {
	var n uint64
	var err error
	switch op {
	case 'q', 'h':
		n, err = r.number(1)
	case 'r', 'j':
		n, err = r.number(4)
	case 0x94: // MEMOIZE
		n = uint64(len(r.memo))
	default:
		var s string
		if s, err = r.line(); err == nil {
			if n, err = strconv.ParseUint(s, 10, 32); err != nil {
				err = broken("%.40q is not a place in its memory", s)
			}
		}
	}
	if err != nil {
		return err
	}
	switch op {
	case 'h', 'j', 'g':
		v, ok := r.memo[n]
		if !ok {
			return broken("it recalls value %d, which it never stored", n)
		}
		r.push(v)
		return nil
	}
	v, err := r.top()
	if err == nil {
		r.memo[n] = v
	}
	return err
}

// object carries out the instructions that name, call and fill objects.
func (r *reader) object(op byte) error {
	switch op {
	case 'c': // GLOBAL
		module, err := r.line()
		if err != nil {
			return err
		}
		name, err := r.line()
		if err != nil {
			return err
		}
		return r.global(module, name)
	case 0x93: // STACK_GLOBAL
		if err := r.tuple(2); err != nil {
			return err
		}
		v, err := r.pop()
		if err != nil {
			return err
		}
		module, ok := v.(Tuple)[0].(string)
		name, ok2 := v.(Tuple)[1].(string)
		if !ok || !ok2 {
			return broken("a name that is no string at byte %d", r.at-1)
		}
		return r.global(module, name)
	case 'i': // INST names a class, whose instance it makes
		module, err := r.line()
		if err != nil {
			return err
		}
		name, err := r.line()
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: %s.%s", ErrCode, module, name)
	case 'R', 0x81: // REDUCE, NEWOBJ
		return r.call()
	case 'b': // BUILD
		// State of an ordered dict, such as PyTorch's _metadata, is no tensor.
		if _, err := r.pop(); err != nil {
			return err
		}
		into, err := r.top()
		if err != nil {
			return err
		}
		if _, ok := into.(*Dict); !ok {
			return broken("it sets the state of a %T at byte %d", into, r.at-1)
		}
		return nil
	case 'Q', 'P': // BINPERSID, PERSID
		var id any
		var err error
		if op == 'P' {
			id, err = r.line()
		} else {
			id, err = r.pop()
		}
		if err != nil {
			return err
		}
		if r.machine.Persistent == nil {
			return broken("it refers to another file's values at byte %d", r.at-1)
		}
		v, err := r.machine.Persistent(id)
		if err != nil {
			return err
		}
		r.push(v)
		return nil
	}
	return broken("instruction 0x%02x at byte %d has no place in a file of tensors", op, r.at-1)
}

func (r *reader) global(module, name string) error {
	var v any
	if r.machine.Global != nil {
		v = r.machine.Global(module, name)
	}
	if v == nil {
		return fmt.Errorf("%w: %.80s.%.80s", ErrCode, module, name)
	}
	r.push(v)
	return nil
}

func (r *reader) call() error {
	args, err := r.pop()
	if err != nil {
		return err
	}
	f, err := r.pop()
	if err != nil {
		return err
	}
	call, ok := f.(Callable)
	tuple, ok2 := args.(Tuple)
	if !ok || !ok2 {
		return broken("it calls a %T with a %T at byte %d", f, args, r.at-1)
	}
	v, err := call(tuple)
	if err != nil {
		return err
	}
	r.push(v)
	return nil
}
