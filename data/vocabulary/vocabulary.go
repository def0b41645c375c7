// Package vocabulary makes class numbers of the labels that files hold, which
// may be names or numbers.
package vocabulary

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Most is the largest number of classes.
const Most = 1 << 20

// Vocabulary numbers the different labels of a data set's files in the order
// in which they come. The zero value is empty.
type Vocabulary struct {
	ids  map[string]int
	seen []string
}

// ID returns the number of a label, spaces around it ignored.
func (v *Vocabulary) ID(label string) int {
	label = strings.TrimSpace(label)
	if id, ok := v.ids[label]; ok {
		return id
	}
	if v.ids == nil {
		v.ids = map[string]int{}
	}
	id := len(v.seen)
	label = strings.Clone(label)
	v.ids[label] = id
	v.seen = append(v.seen, label)
	return id
}

// Len returns the number of different labels.
func (v *Vocabulary) Len() int { return len(v.seen) }

// Label returns the label of a number.
func (v *Vocabulary) Label(id int) string { return v.seen[id] }

// Unknown is the class of a label that is none of the training set's.
const Unknown = -1

// Classes returns the names of the classes, and for each label its class or
// Unknown. Only the labels for which training is true make classes.
//
// With given names a label is one of them, or a number from 0 on into them;
// labels that are neither are unknown. Without, training labels that are all
// whole numbers from 0 on are the class numbers themselves; otherwise the
// classes are the training labels, sorted by bytes.
func (v *Vocabulary) Classes(given []string, training func(id int) bool) (names []string, class []int, err error) {
	class = make([]int, len(v.seen))
	var own []string
	numbers, top := true, -1
	for id, label := range v.seen {
		if !training(id) {
			continue
		}
		own = append(own, label)
		n, ok := number(label)
		if numbers = numbers && ok; numbers {
			top = max(top, n)
		}
	}
	switch {
	case given != nil:
		if len(given) > Most {
			return nil, nil, fmt.Errorf("%d classes; at most %d are supported", len(given), Most)
		}
		at := map[string]int{}
		for i, n := range given {
			at[n] = i
		}
		for id, label := range v.seen {
			class[id] = Unknown
			if i, ok := at[label]; ok {
				class[id] = i
			} else if n, ok := number(label); ok && n < len(given) {
				class[id] = n
			}
		}
		return given, class, nil
	case numbers:
		if top >= Most {
			return nil, nil, fmt.Errorf("a label of %d; numbers count the classes from 0 on, at most %d", top, Most)
		}
		for c := range top + 1 {
			names = append(names, strconv.Itoa(c))
		}
		for id, label := range v.seen {
			class[id] = Unknown
			if n, ok := number(label); ok && n <= top {
				class[id] = n
			}
		}
		return names, class, nil
	}
	if len(own) > Most {
		return nil, nil, fmt.Errorf("%d different labels; at most %d classes are supported", len(own), Most)
	}
	slices.Sort(own)
	for id, label := range v.seen {
		class[id] = Unknown
		if i, ok := slices.BinarySearch(own, label); ok {
			class[id] = i
		}
	}
	return own, class, nil
}

// number reads a whole number from 0 on, written plainly.
func number(label string) (int, bool) {
	n, err := strconv.ParseUint(label, 10, 31)
	return int(n), err == nil
}
