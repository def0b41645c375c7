package runtime

import (
	"errors"
	"testing"
)

// TestNativeError: what allocators say is told from other trouble.
func TestNativeError(t *testing.T) {
	for _, c := range []struct {
		text   string
		memory bool
		want   string
	}{
		{"Error running network: Non-zero status code returned while running Norm node. Name:'n28' Status Message: /onnxruntime_src/bfc_arena.cc:360 void*\n onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 411041792",
			true, "not enough memory: ONNX Runtime could not get 392 MiB more"},
		{"std::bad_alloc", true, "not enough memory for ONNX Runtime"},
		{"CUDA failure 2: out of memory ; GPU=0", true, "not enough memory for ONNX Runtime"},
		{"BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Available memory of 1073741824 is smaller than requested bytes of 2147483648",
			true, "not enough memory: ONNX Runtime could not get 2048 MiB more"},
		{"Invalid\n  graph", false, "Invalid graph"},
	} {
		err := nativeError(errors.New(c.text))
		if err.Error() != c.want || errors.Is(err, ErrMemory) != c.memory {
			t.Errorf("%q is told as %q", c.text, err)
		}
	}
}
