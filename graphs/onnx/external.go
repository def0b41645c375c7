package onnx

import "slices"

// ExternalFiles returns the names of the files, relative to the model's folder,
// that hold initializers of the model's graph; sorted, each once.
func ExternalFiles(m *ModelProto) []string {
	var names []string
	for _, t := range m.GetGraph().GetInitializer() {
		if t.GetDataLocation() != TensorProto_EXTERNAL {
			continue
		}
		for _, e := range t.GetExternalData() {
			if e.GetKey() == "location" {
				names = append(names, e.GetValue())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
