package decode

import "encoding/binary"

// exifOrientation returns the orientation, 1 to 8, that an APP1 segment gives
// in its first directory (EXIF 2.32, tag 0x0112), or 0 if it does not: a
// damaged directory says nothing, it does not make the image unreadable.
func exifOrientation(segment []byte) int {
	if len(segment) < 14 || string(segment[:6]) != "Exif\x00\x00" {
		return 0
	}
	tiff := segment[6:]
	var order binary.ByteOrder
	switch string(tiff[:2]) {
	case "II":
		order = binary.LittleEndian
	case "MM":
		order = binary.BigEndian
	default:
		return 0
	}
	if order.Uint16(tiff[2:]) != 42 {
		return 0
	}
	at := int(order.Uint32(tiff[4:]))
	if at < 8 || at > len(tiff)-2 {
		return 0
	}
	entries := int(order.Uint16(tiff[at:]))
	for at += 2; entries > 0 && at <= len(tiff)-12; entries, at = entries-1, at+12 {
		e := tiff[at : at+12]
		if order.Uint16(e) != 0x0112 {
			continue
		}
		const short = 3
		if order.Uint16(e[2:]) != short || order.Uint32(e[4:]) != 1 {
			return 0
		}
		if o := int(order.Uint16(e[8:])); o >= 1 && o <= 8 {
			return o
		}
		return 0
	}
	return 0
}
