package runtime

import (
	"sync"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// ChannelBlock returns the channel block of the library's blocked layout on
// this machine, 8 or 16, or 0 if it has none. Step graphs may be lowered for
// that layout, and then run only on machines with the same block. Before Open
// the answer is 0.
func ChannelBlock() int {
	if _, ok := Opened(); !ok {
		return 0
	}
	return probedBlock()
}

var probedBlock = sync.OnceValue(channelBlock)

// channelBlock reorders a tensor of 16 channels and 2 pixels whose elements
// are their own plain index, and looks where channel 1 and channel 8 of the
// first pixel have gone.
func channelBlock() int {
	const channels, pixels = 16, 2
	shape := []int64{1, channels, 1, pixels}
	m := &onnx.ModelProto{
		IrVersion: 8,
		OpsetImport: []*onnx.OperatorSetIdProto{
			{Version: 17}, {Domain: "com.microsoft.nchwc", Version: 1}},
		Graph: &onnx.GraphProto{
			Name: "channel_block",
			Node: []*onnx.NodeProto{{
				OpType: "ReorderInput", Domain: "com.microsoft.nchwc",
				Input: []string{"x"}, Output: []string{"y"}}},
			Input:  []*onnx.ValueInfoProto{onnx.TensorInfo("x", onnx.TensorProto_FLOAT, shape)},
			Output: []*onnx.ValueInfoProto{onnx.TensorInfo("y", onnx.TensorProto_FLOAT, shape)},
		},
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		return 0
	}
	s, err := NewSessionFromBytes("channel block probe", b, Options{Threads: 1})
	if err != nil {
		return 0 // a build without the blocked kernels
	}
	defer s.Close()
	x, err := NewTensor(shape...)
	if err != nil {
		return 0
	}
	defer x.Close()
	y, err := NewTensor(shape...)
	if err != nil {
		return 0
	}
	defer y.Close()
	for i := range x.Floats() {
		x.Floats()[i] = float32(i)
	}
	if err := s.Run(map[string]*Tensor{"x": x}, map[string]*Tensor{"y": y}); err != nil {
		return 0
	}
	out := y.Floats()
	for _, block := range []int{8, 16} {
		// The first pixel's block, then the second pixel's.
		if out[1] == pixels && out[block-1] == float32((block-1)*pixels) && out[block] == 1 {
			return block
		}
	}
	return 0
}
