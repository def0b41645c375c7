// Package webdataset indexes shards of the WebDataset format: tar files in
// which the files of one sample follow each other and share their name up to
// the first dot, as 0007.jpg and 0007.cls (or 0007.json). The shards are not
// unpacked: images are read at random from where they lie.
package webdataset

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/data/files"
)

// Options name a sample's files; empty means the usual ones.
type Options struct {
	// Image is the ending of the images, such as "jpg" or "input.png".
	Image string
	// Label is the ending of the label's file or, where there is none of that
	// ending, the key in the sample's json file.
	Label string
}

// Sample is one labelled image of a shard.
type Sample struct {
	// Offset and Size place the image's file in the shard, in bytes.
	Offset, Size int64
	Label        string
}

// The largest members that are read while indexing, and the longest name.
const (
	mostLabel = 1 << 20
	mostName  = 1 << 12
)

// Scan calls sample for each labelled image of a shard, in order, and problem
// for whatever is wrong; a shard that ends too early keeps the samples before.
// name stands for the shard in problems.
func Scan(shard io.ReaderAt, size int64, name string, o Options, sample func(Sample), problem func(files.Problem)) {
	c := &cursor{at: shard, size: size}
	r := tar.NewReader(c)
	s := scan{shard: shard, name: name, opt: o, sample: sample, problem: problem}
	ended := false
	for {
		h, err := r.Next()
		if err == io.EOF {
			// A shard that was cut between two members ends without a word.
			if ended = c.afterZeros(); !ended {
				s.report(name, files.Damaged, "the end of the tar file is missing; get the shard again")
			}
			break
		}
		if err != nil {
			s.report(name, files.Damaged, fmt.Sprintf("not a complete tar file (%v); get the shard again", plain(err)))
			break
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		offset := c.pos
		if offset+h.Size > size {
			s.report(name, files.Damaged, fmt.Sprintf("cut off in member %s; get the shard again", short(h.Name)))
			break
		}
		if sparse(h) {
			s.report(name+"/"+short(h.Name), files.Unreadable, "a sparse tar member, which has no place of its own; pack the shard without sparse files")
			continue
		}
		s.member(h.Name, offset, h.Size)
	}
	s.end()
	if ended && s.members == 0 {
		s.report(name, files.Empty, "the shard holds no files")
	}
}

// sparse members are not stored in one piece.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// plain drops the package's name from an error of archive/tar.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "archive/tar: ") }

func short(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return name
}

// scan groups members into samples.
type scan struct {
	shard   io.ReaderAt
	name    string
	opt     Options
	sample  func(Sample)
	problem func(files.Problem)

	members      int
	key          string // of the sample being collected
	found        bool   // its image
	image        Sample
	label, json  string
	hasLabel     bool
	hasJSON, bad bool
}

func (s *scan) report(path, kind, detail string) {
	s.problem(files.Problem{Path: path, Kind: kind, Detail: detail})
}

// Split divides a member's name into the sample's key and the ending, in
// lower case, at the first dot of its last part.
func Split(name string) (key, ending string) {
	dir, base := path.Split(name)
	stem, ending, _ := strings.Cut(base, ".")
	return dir + stem, strings.ToLower(ending)
}

func (s *scan) member(name string, offset, size int64) {
	key, ending := Split(name)
	if base := path.Base(name); strings.HasPrefix(base, ".") || ending == "" || len(name) > mostName {
		return
	}
	if s.members == 0 || key != s.key {
		s.end()
		s.key = key
	}
	s.members++
	switch {
	case s.isImage(ending):
		if s.found {
			s.report(s.name+"/"+short(name), files.Duplicate, "a second image of the same sample; name the ending of the one to use (data.image_key)")
			return
		}
		s.found, s.image = true, Sample{Offset: offset, Size: size}
	case s.opt.Label != "" && ending == s.opt.Label, s.opt.Label == "" && (ending == "cls" || ending == "label" || ending == "cls.txt"):
		s.label, s.hasLabel = s.text(name, offset, size), true
	case ending == "json":
		s.json, s.hasJSON = s.text(name, offset, size), true
	}
}

func (s *scan) isImage(ending string) bool {
	if s.opt.Image != "" {
		return ending == s.opt.Image
	}
	return files.Format("."+ending) != "" && !strings.Contains(ending, ".")
}

// text reads a small member.
func (s *scan) text(name string, offset, size int64) string {
	if size > mostLabel {
		s.report(s.name+"/"+short(name), files.NoLabel, fmt.Sprintf("a label's file of %d bytes", size))
		s.bad = true
		return ""
	}
	b := make([]byte, size)
	if n, err := s.shard.ReadAt(b, offset); n < len(b) {
		s.report(s.name+"/"+short(name), files.Unreadable, fmt.Sprint("cannot be read: ", atomicfile.Cause(err)))
		s.bad = true
	}
	return string(b)
}

// end completes the sample that is being collected.
func (s *scan) end() {
	if s.members > 0 && !s.bad {
		s.complete()
	}
	s.found, s.hasLabel, s.hasJSON, s.bad = false, false, false, false
}

func (s *scan) complete() {
	at := s.name + "/" + short(s.key)
	label, ok := s.label, s.hasLabel
	if !ok && s.hasJSON {
		label, ok = FromJSON(s.json, s.opt.Label)
	}
	switch {
	case !s.found && (s.hasLabel || s.hasJSON):
		s.report(at, files.NoLabel, "a label without an image")
	case s.found && !ok:
		s.report(at, files.NoLabel, "an image without a label (a file ending in .cls, or one in .json with a key label); data.label_key names another")
	case s.found:
		s.image.Label = label
		s.sample(s.image)
	}
}

// FromJSON returns the label in a JSON object: the value of the key, or, if it
// is empty, of the first of label, cls, class, target that is there, as text.
func FromJSON(text, key string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil {
		return "", false
	}
	keys := []string{"label", "cls", "class", "target"}
	if key != "" {
		keys = []string{key}
	}
	for _, k := range keys {
		raw, ok := object[k]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"' {
			return s, true
		}
		var n json.Number
		if json.Unmarshal(raw, &n) == nil && n != "" {
			return n.String(), true
		}
		return "", false
	}
	return "", false
}
