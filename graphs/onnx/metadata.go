package onnx

import "slices"

// Metadata encodes properties in the order of their keys.
func Metadata(m map[string]string) []*StringStringEntryProto {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	props := make([]*StringStringEntryProto, len(keys))
	for i, k := range keys {
		props[i] = &StringStringEntryProto{Key: k, Value: m[k]}
	}
	return props
}
