package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// account is Linux's account of this process.
const account = "/proc/self/status"

// PeakMiB returns the largest resident size of this process so far, mapped
// files included.
func PeakMiB() (float64, error) {
	kib, err := Status("VmHWM")
	return kib / 1024, err
}

// ResidentMiB returns the resident size of this process, mapped files included.
func ResidentMiB() (float64, error) {
	kib, err := Status("VmRSS")
	return kib / 1024, err
}

// Status returns a number of Linux's account of this process, such as Threads;
// memory is in KiB there.
func Status(key string) (float64, error) {
	text, err := os.ReadFile(account)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %s is not a number: %w", account, key, err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("%s has no %s", account, key)
}
