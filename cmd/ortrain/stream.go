package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// stream is an output with what is known about who reads it.
type stream struct {
	io.Writer
	// colour tells whether escape sequences for colour are welcome.
	colour bool
	// live tells whether a line may be redrawn in place; width is then the
	// number of columns.
	live  bool
	width func() int
}

// terminal describes a file: colours and redrawing only where it is a
// terminal, no colours where NO_COLOR is set.
func terminal(f *os.File) *stream {
	s := &stream{Writer: f}
	fd := int(f.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return s
	}
	s.live = true
	s.colour = os.Getenv("NO_COLOR") == ""
	s.width = func() int {
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			return w
		}
		return 80
	}
	return s
}

func (s *stream) println(line string) { fmt.Fprintln(s, line) }

func (s *stream) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

func (s *stream) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *stream) red(text string) string   { return s.paint("31", text) }
func (s *stream) green(text string) string { return s.paint("32", text) }
func (s *stream) bold(text string) string  { return s.paint("1", text) }
func (s *stream) faint(text string) string { return s.paint("2", text) }
