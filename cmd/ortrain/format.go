package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// count writes a whole number with separated thousands.
func count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural counts things: "1 image", "1,000 images".
func plural[T int | int64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}

// percent writes a share of 1.
func percent(share float64, decimals int) string {
	if math.IsNaN(share) {
		return "–"
	}
	return strconv.FormatFloat(100*share, 'f', decimals, 64) + " %"
}

// short writes a large number to three digits: 269,722 is "270 k".
func short(n int64) string {
	v, unit := float64(n), ""
	for _, u := range []string{" k", " M", " G", " T"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, u
	}
	if unit == "" {
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Log10(v))), 64) + unit
}

// fileSize writes a file size.
func fileSize(n int64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"Ki", "Mi", "Gi", "Ti"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "" {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit + "B"
}

// duration writes seconds as people say them.
func duration(seconds float64) string {
	if seconds < 10 {
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	}
	if seconds < 100 {
		return strconv.FormatFloat(seconds, 'f', 0, 64) + " s"
	}
	unit := " min"
	if seconds >= 3600 {
		unit = " h"
	}
	return clock(time.Duration(seconds*float64(time.Second))) + unit
}

// clock writes m:ss or h:mm:ss.
func clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s < 0 {
		s = 0
	}
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// rate writes a learning rate to three digits.
func rate(lr float64) string { return strconv.FormatFloat(lr, 'g', 3, 64) }

// table writes rows in aligned columns under a header. Columns whose header
// starts with ">" hold numbers and are aligned to the right.
func (s *stream) table(header []string, rows [][]string) {
	width := make([]int, len(header))
	right := make([]bool, len(header))
	for i, h := range header {
		header[i], right[i] = strings.CutPrefix(h, ">")
	}
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if right[i] {
				cell, pad = pad+cell, ""
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(cell + pad)
		}
		return strings.TrimRight(b.String(), " ")
	}
	s.println(s.faint(line(header)))
	for _, row := range rows {
		s.println(line(row))
	}
}

// json writes a value for programs to read.
func (s *stream) json(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the result as JSON: %w", err)
	}
	s.println(string(b))
	return nil
}

// milliseconds writes a short time to three digits.
func milliseconds(ms float64) string {
	decimals := 0
	switch {
	case ms < 1:
		decimals = 3
	case ms < 10:
		decimals = 2
	case ms < 100:
		decimals = 1
	}
	return strconv.FormatFloat(ms, 'f', decimals, 64) + " ms"
}
