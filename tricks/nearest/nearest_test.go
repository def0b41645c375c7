package nearest

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"cosine", "cosnie", 1},
		{"gama", "gamma", 1}, {"flaw", "lawn", 2},
	}
	for _, tt := range tests {
		if got := distance([]rune(tt.a), []rune(tt.b)); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance([]rune(tt.b), []rune(tt.a)); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestName(t *testing.T) {
	schedules := []string{"constant", "cosine", "exponential", "one_cycle", "step"}
	tests := []struct {
		name, want string
		ok         bool
	}{
		{"cosin", "cosine", true},
		{"One-Cycle", "one_cycle", true},
		{"stpe", "step", true},
		{"zebra", "", false},
		{"q", "", false},
	}
	for _, tt := range tests {
		got, ok := Name(tt.name, schedules)
		if ok != tt.ok || (ok && got != tt.want) {
			t.Errorf("Name(%q) = %q, %v, want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	if _, ok := Name("x", nil); ok {
		t.Error("Name with no candidates found one")
	}
}

func TestHint(t *testing.T) {
	if got := Hint("gama", []string{"gamma", "epochs"}); got != `; did you mean "gamma"?` {
		t.Errorf("Hint near = %q", got)
	}
	if got := Hint("zebra", []string{"gamma", "epochs"}); got != "; valid: gamma, epochs" {
		t.Errorf("Hint far = %q", got)
	}
	if got := Hint("x", nil); got != "" {
		t.Errorf("Hint of none = %q", got)
	}
	Hint(strings.Repeat("x", 1<<16), []string{strings.Repeat("y", 1<<16)})
}
