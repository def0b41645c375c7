//go:build !cgo || !(linux || darwin)

package decode

// libjpeg stands for the library where none can be loaded.
type libjpeg struct{}

func openLibjpeg() *libjpeg { return nil }

func (*libjpeg) String() string { return "" }

func (*libjpeg) decode(out, file []byte, h *header, channels, shrink int, v Window) error {
	panic("decode: no library")
}
