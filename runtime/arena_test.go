package runtime

import (
	"reflect"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// returnMemory reaches through the binding's RunOptions to the pointer in it: it
// must be all that they hold.
func TestRunOptionsHoldOnlyThePointer(t *testing.T) {
	typ := reflect.TypeFor[ort.RunOptions]()
	if typ.NumField() != 1 || typ.Field(0).Type.Kind() != reflect.Pointer {
		t.Fatalf("the binding's RunOptions are %v with %d fields; adapt returnMemory", typ, typ.NumField())
	}
}
