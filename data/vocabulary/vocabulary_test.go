package vocabulary

import (
	"slices"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		name        string
		train, test []string
		given       []string
		names       string
		class       []int // of train, then test
		problem     string
	}{
		{"names", []string{"cow", "ant", " cow "}, []string{"ant", "elk"}, nil, "ant cow", []int{1, 0, 1, 0, -1}, ""},
		{"numbers with a gap", []string{"3", "0"}, []string{"1", "4", "x"}, nil, "0 1 2 3", []int{3, 0, 1, -1, -1}, ""},
		{"numbers as names", []string{"10", "9", "-1"}, nil, nil, "-1 10 9", []int{1, 2, 0}, ""},
		{"given names", []string{"1", "bee"}, []string{"0", "7"}, []string{"ant", "bee"}, "ant bee", []int{1, 1, 0, -1}, ""},
		{"a vast number", []string{"4000000"}, nil, nil, "", nil, "at most"},
		{"none", nil, []string{"a"}, nil, "", []int{-1}, ""},
	} {
		var v Vocabulary
		var ids []int
		training := map[int]bool{}
		for _, l := range c.train {
			ids = append(ids, v.ID(l))
			training[ids[len(ids)-1]] = true
		}
		for _, l := range c.test {
			ids = append(ids, v.ID(l))
		}
		names, class, err := v.Classes(c.given, func(id int) bool { return training[id] })
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, id := range ids {
			got = append(got, class[id])
		}
		if strings.Join(names, " ") != c.names || !slices.Equal(got, c.class) {
			t.Errorf("%s: classes %q, labels %v; want %q, %v", c.name, names, got, c.names, c.class)
		}
	}
}

func FuzzClasses(f *testing.F) {
	f.Add("cat\ndog\n3", "bird\ncat", false)
	f.Add("0\n2\n1", "7", true)
	f.Fuzz(func(t *testing.T, train, test string, given bool) {
		var v Vocabulary
		training := map[int]bool{}
		for l := range strings.Lines(train) {
			training[v.ID(l)] = true
		}
		for l := range strings.Lines(test) {
			v.ID(l)
		}
		var names []string
		if given {
			names = []string{"a", "b", "c"}
		}
		classes, class, err := v.Classes(names, func(id int) bool { return training[id] })
		if err != nil {
			return
		}
		for id, c := range class {
			if c < Unknown || c >= len(classes) {
				t.Fatalf("label %q has class %d of %d", v.Label(id), c, len(classes))
			}
			if training[id] && !given && c == Unknown {
				t.Errorf("the training label %q has no class", v.Label(id))
			}
		}
	})
}
