package primitives

import (
	"slices"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// channelBlock finds the channel block of the runtime's blocked layout on this
// machine by reordering a map of 16 channels and looking where its elements
// went; 0 means that there is no such layout.
var channelBlock = sync.OnceValue(func() int {
	const channels, pixels = 16, 4
	dims := []int64{1, channels, 2, 2}
	info := func(name string) []*onnx.ValueInfoProto {
		return []*onnx.ValueInfoProto{onnx.TensorInfo(name, onnx.TensorProto_FLOAT, dims)}
	}
	data, err := onnx.Marshal(&onnx.ModelProto{
		IrVersion:   10,
		OpsetImport: []*onnx.OperatorSetIdProto{{Version: 21}, {Domain: "com.microsoft.nchwc", Version: 1}},
		Graph: &onnx.GraphProto{Name: "probe", Input: info("x"), Output: info("y"), Node: []*onnx.NodeProto{{
			OpType: "ReorderInput", Domain: "com.microsoft.nchwc", Input: []string{"x"}, Output: []string{"y"}}}},
	})
	if err != nil {
		panic(err)
	}
	s, err := runtime.NewSessionFromBytes("probe", data, runtime.Options{Threads: 1})
	if err != nil {
		return 0
	}
	defer s.Close()
	var x, y [channels * pixels]float32
	for i := range x {
		x[i] = float32(i)
	}
	in, err := runtime.WrapTensor(x[:], dims...)
	if err != nil {
		panic(err)
	}
	defer in.Close()
	out, err := runtime.WrapTensor(y[:], dims...)
	if err != nil {
		panic(err)
	}
	defer out.Close()
	if s.Run(map[string]*runtime.Tensor{"x": in}, map[string]*runtime.Tensor{"y": out}) != nil {
		return 0
	}
	// The pixels of a block's first pixel come first: channel 0, 1, … of the
	// block; the second pixel of channel 0 follows.
	switch slices.Index(y[:], 1) {
	case 8:
		return 8
	case 16:
		return 16
	}
	return 0
})

func TestChannelBlock(t *testing.T) {
	openLibrary(t)
	if channelBlock() == 0 {
		t.Skip("ONNX Runtime has no blocked layout on this machine")
	}
	t.Logf("blocks of %d channels", channelBlock())
}
