package runtime

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ErrMemory is wrapped by the error of a session that could not be made or run
// for want of memory, the machine's or the device's.
var ErrMemory = errors.New("not enough memory")

// wanted is the size in bytes that an allocator's complaint names.
var wanted = regexp.MustCompile(`(?:requested buffer of size|requested bytes of|bytes requested[:=]?|size=) ?(\d+)`)

// nativeError is ONNX Runtime's error as one line, without what is of use to its
// authors only where memory has run out.
func nativeError(err error) error {
	text := oneLine(err.Error())
	low := strings.ToLower(text)
	for _, sign := range []string{"failed to allocate memory", "is smaller than requested bytes", "bad_alloc", "bad allocation", "out of memory", "alloc_failed", "cudaerrormemoryallocation"} {
		if !strings.Contains(low, sign) {
			continue
		}
		if m := wanted.FindStringSubmatch(text); m != nil {
			if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n > 0 {
				return fmt.Errorf("%w: ONNX Runtime could not get %s more", ErrMemory, mebibytes(n))
			}
		}
		return fmt.Errorf("%w for ONNX Runtime", ErrMemory)
	}
	return errors.New(text)
}

func mebibytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
}
