package files

import (
	"path/filepath"
	"sort"
	"strings"
)

// List is a list of labelled image files. Files of one folder that are added
// one after the other share its name.
type List struct {
	folders Names
	first   []int // of each run of files in one folder
	names   Names
	labels  Labels
}

// Add appends the file called name in a folder.
func (l *List) Add(folder, name string, label int) {
	if n := l.folders.Len(); n == 0 || l.folders.At(n-1) != folder {
		l.folders.Append(folder)
		l.first = append(l.first, l.Len())
	}
	l.names.Append(name)
	l.labels.Append(label)
}

// Len returns the number of files.
func (l *List) Len() int { return l.names.Len() }

// Label returns the label of file i.
func (l *List) Label(i int) int { return l.labels.At(i) }

// Path returns the path of file i.
func (l *List) Path(i int) string {
	run := sort.SearchInts(l.first, i+1) - 1
	return filepath.Join(l.folders.At(run), l.names.At(i))
}

// extensions are the endings of the formats that can be decoded.
var extensions = map[string]string{
	".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
	".png": "png", ".gif": "gif", ".bmp": "bmp", ".webp": "webp",
}

// Format returns the format that a file's name promises (jpeg, png, gif, bmp
// or webp), or "" if it is not an image's name.
func Format(name string) string { return extensions[strings.ToLower(filepath.Ext(name))] }

// Problem is a file or folder that cannot be used as it is.
type Problem struct {
	Path string `json:"path"`
	// Kind is one of a few words that sort problems, such as "unreadable".
	Kind string `json:"kind"`
	// Detail says what is wrong and what to do.
	Detail string `json:"detail"`
}

// String returns one line.
func (p Problem) String() string { return p.Path + ": " + p.Detail }

// The kinds of problems.
const (
	Unreadable   = "unreadable"    // cannot be opened or read
	Empty        = "empty"         // has no bytes
	Damaged      = "damaged"       // cut off or not decodable
	Huge         = "huge"          // declares more pixels than are decoded
	Misnamed     = "wrongly named" // holds another format than its name says
	Duplicate    = "duplicate"     // the same bytes as another
	SymlinkLoop  = "symlink loop"  // leads back to a folder above it
	UnknownClass = "unknown class" // of the test set, and not of the training set
	NoLabel      = "no label"      // an image that nothing labels, or a label without its image
	Checksum     = "checksum"      // stored bytes that have changed
)
