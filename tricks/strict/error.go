package strict

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one problem with one key.
type Error struct {
	File    string // empty when not from a file
	Line    int    // 1-based; 0 when unknown
	Key     string // dotted path, such as "schedule.gamma" or "augment.0.padding"; may be empty
	Problem string
}

// Error returns "file:line: key: problem" with the unknown parts left out.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	case e.File != "":
		b.WriteString(e.File + ": ")
	case e.Line > 0:
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Errorf returns an Error for a key.
func Errorf(key, format string, args ...any) *Error {
	return &Error{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// Within returns err as an *Error whose key is below prefix: the key "gamma"
// within "schedule" is "schedule.gamma". An err that is not an *Error becomes
// the problem of prefix itself. Within(prefix, nil) is nil.
func Within(prefix string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Key: prefix, Problem: err.Error()}
	}
	located := *e
	located.Key = Join(prefix, e.Key)
	return &located
}

// Locate fills the file and, from the lines of the keys, the line of an
// *Error that lacks them. A key that has no line was not read from the file
// (it was set on a command line, or is a default), so it gets no file either.
// Other errors pass unchanged.
func Locate(err error, file string, lines Lines) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	located := *e
	if located.File == "" {
		located.File = file
	}
	if located.Line == 0 && located.Key != "" {
		if located.Line = lines[located.Key]; located.Line == 0 {
			located.File = ""
		}
	}
	return &located
}

// Join joins two dotted paths, either of which may be empty.
func Join(prefix, key string) string {
	switch {
	case prefix == "":
		return key
	case key == "":
		return prefix
	}
	return prefix + "." + key
}
