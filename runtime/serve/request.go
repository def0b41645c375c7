package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/runtime/classify"
)

// Result is the answer for one image, the most likely class first.
type Result struct {
	// File is the name of the image in a multipart request.
	File    string           `json:"file,omitempty"`
	Classes []classify.Class `json:"classes"`
}

// Results is the answer for the images of a multipart request, in its order.
type Results struct {
	Images []Result `json:"images"`
}

// upload is an image as it was sent.
type upload struct {
	name string
	data []byte
}

// classify answers POST /v1/classify: all images of the request, or an error.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) *failure {
	if !s.ready.Load() {
		return stopping()
	}
	select {
	case s.places <- struct{}{}:
	default:
		return &failure{code: http.StatusTooManyRequests, reason: "queue", after: 1,
			text: fmt.Sprintf("%d requests are in progress; try again later", s.config.Queue)}
	}
	defer func() { <-s.places }()
	s.metrics.flight.Inc()
	defer s.metrics.flight.Dec()

	top := s.config.Top
	if text := r.URL.Query().Get("top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 1 {
			return &failure{code: http.StatusBadRequest, reason: "request", text: fmt.Sprintf("top=%s: give the number of classes to answer, at least 1", text)}
		}
	}
	uploads, several, f := s.read(w, r)
	if f != nil {
		return f
	}
	// The upload is over: its deadline must not end the request.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Timeout)
	defer cancel()
	s.batcher.expect()
	inputs := make([]*classify.Input, len(uploads))
	for i := range uploads {
		if inputs[i], f = s.prepare(ctx, uploads[i].data); f != nil {
			s.batcher.forget()
			f.file = uploads[i].name
			return f
		}
		uploads[i].data = nil
	}
	results, err := s.batcher.classify(ctx, inputs)
	if err != nil {
		return s.late(err)
	}
	out := Results{Images: make([]Result, len(results))}
	note, _ := w.(*record)
	note.images = len(results)
	for i, one := range results {
		out.Images[i] = Result{File: uploads[i].name, Classes: one.answer.Top(top)}
		note.batch = max(note.batch, one.batch)
	}
	if several {
		f = reply(w, http.StatusOK, out)
	} else {
		f = reply(w, http.StatusOK, out.Images[0])
	}
	if f == nil {
		s.metrics.images.Add(float64(len(results)))
		s.answered.Add(1)
	}
	return f
}

// prepare decodes an image when a core is free.
func (s *Server) prepare(ctx context.Context, file []byte) (*classify.Input, *failure) {
	select {
	case s.decoders <- struct{}{}:
	case <-ctx.Done():
		return nil, s.late(ctx.Err())
	}
	defer func() { <-s.decoders }()
	begun := time.Now()
	in, err := s.config.Model.Decode(file)
	s.metrics.prepared.Observe(time.Since(begun).Seconds())
	switch {
	case err == nil:
		return in, nil
	case errors.Is(err, classify.ErrEmpty):
		return nil, &failure{code: http.StatusBadRequest, reason: "empty", text: err.Error() + "; send the content of an image file as the body"}
	case errors.Is(err, classify.ErrFormat):
		return nil, &failure{code: http.StatusUnsupportedMediaType, reason: "format", text: err.Error()}
	case errors.Is(err, classify.ErrTooLarge):
		return nil, &failure{code: http.StatusRequestEntityTooLarge, reason: "pixels", text: err.Error()}
	}
	return nil, &failure{code: http.StatusUnprocessableEntity, reason: "damaged", text: err.Error()}
}

// late says why there is no answer although the images are fine.
func (s *Server) late(err error) *failure {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: http.StatusServiceUnavailable, reason: "timeout", after: 1, text: fmt.Sprintf("no answer within %v; try again later", s.config.Timeout)}
	case errors.Is(err, errStopped):
		return stopping()
	case errors.Is(err, context.Canceled) && !s.ready.Load():
		return stopping()
	case errors.Is(err, context.Canceled):
		return &failure{code: 499, reason: "gone", text: "the client has gone"}
	}
	return &failure{code: http.StatusInternalServerError, reason: "internal", text: err.Error()}
}

// read receives the images of a request: its body, or the files of a form.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (uploads []upload, several bool, f *failure) {
	if r.ContentLength > s.config.Body {
		return nil, false, s.tooLong()
	}
	body := http.MaxBytesReader(w, r.Body, s.config.Body)
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Type") == "", err == nil && (strings.HasPrefix(kind, "image/") || kind == "application/octet-stream"):
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, false, s.unread(err)
		}
		return []upload{{data: data}}, false, nil
	case err == nil && kind == "multipart/form-data" && parameters["boundary"] != "":
		uploads, f = s.readForm(multipart.NewReader(body, parameters["boundary"]))
		return uploads, true, f
	}
	return nil, false, &failure{code: http.StatusUnsupportedMediaType, reason: "type", text: fmt.Sprintf(
		"Content-Type %q; send an image as image/jpeg (or another image type, or application/octet-stream), or several as multipart/form-data", r.Header.Get("Content-Type"))}
}

func (s *Server) readForm(form *multipart.Reader) ([]upload, *failure) {
	var uploads []upload
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, s.unread(err)
		}
		if part.FileName() == "" {
			return nil, &failure{code: http.StatusBadRequest, reason: "request", text: fmt.Sprintf("form field %q is not a file", part.FormName())}
		}
		if len(uploads) == s.config.Images {
			return nil, &failure{code: http.StatusRequestEntityTooLarge, reason: "images", text: fmt.Sprintf("at most %d images a request are taken", s.config.Images)}
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, s.unread(err)
		}
		uploads = append(uploads, upload{part.FileName(), data})
	}
	if len(uploads) == 0 {
		return nil, &failure{code: http.StatusBadRequest, reason: "empty", text: "the form holds no image file"}
	}
	return uploads, nil
}

func (s *Server) tooLong() *failure {
	return &failure{code: http.StatusRequestEntityTooLarge, reason: "body", text: fmt.Sprintf("at most %d bytes a request are taken", s.config.Body)}
}

// unread says why a body could not be received.
func (s *Server) unread(err error) *failure {
	var long *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &long):
		return s.tooLong()
	case errors.As(err, &slow) && slow.Timeout():
		return &failure{code: http.StatusRequestTimeout, reason: "slow", text: fmt.Sprintf("the request was not received within %v", s.config.Upload)}
	}
	return &failure{code: http.StatusBadRequest, reason: "request", text: "the request cannot be read: " + strings.Join(strings.Fields(err.Error()), " ")}
}
