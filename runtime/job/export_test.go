package job_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// sameGraph checks that two files hold one graph, whatever their metadata say.
func sameGraph(t *testing.T, a, b string) {
	t.Helper()
	var graphs [2]*onnx.GraphProto
	for i, path := range []string{a, b} {
		m, err := onnx.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		graphs[i] = m.GetGraph()
	}
	if !proto.Equal(graphs[0], graphs[1]) {
		t.Errorf("%s and %s hold different graphs", a, b)
	}
}
