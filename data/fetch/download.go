package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// errLocal marks failures of this machine, which no other server would mend.
var errLocal = errors.New("cannot write")

// errFinal marks answers that asking again will not change.
var errFinal = errors.New("refused")

// download brings a file to path, by way of path.part, which is resumed and
// survives failures. A file whose checksum is wrong is loaded once more from
// the beginning.
func (o Options) download(ctx context.Context, f File, address, path string) error {
	part := path + ".part"
	for try := range 2 {
		if err := o.transfer(ctx, f, address, part); err != nil {
			return err
		}
		err := verify(part, f.MD5)
		if err == nil {
			if err := os.Rename(part, path); err != nil {
				return fmt.Errorf("%w %s: %w", errLocal, path, err)
			}
			return nil
		}
		os.Remove(part)
		if try == 0 {
			o.Note(fmt.Sprintf("%s arrived damaged; loading it again", f.Name))
			continue
		}
		return fmt.Errorf("%s from %s is not the published file: its MD5 checksum differs from %s, twice", f.Name, host(address), f.MD5)
	}
	return nil
}

// transfer loads until the server has sent everything, resuming after
// failures as long as there is progress.
func (o Options) transfer(ctx context.Context, f File, address, part string) error {
	pause := o.Pause
	for failed := 0; ; {
		before := size(part)
		err := o.request(ctx, f, address, part)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errLocal) || errors.Is(err, errFinal) {
			return err
		}
		if size(part) > before {
			failed, pause = 0, o.Pause
		}
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			failed++ // there is no network, or no such server: soon given up
		}
		if failed++; failed >= o.Attempts {
			return err
		}
		o.Note(fmt.Sprintf("%v; trying again", err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, 30*time.Second)
	}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// request asks once for what is missing and appends what arrives.
func (o Options) request(ctx context.Context, f File, address, part string) error {
	have := size(part)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := fmt.Errorf("%s sent nothing for %v", host(address), o.Stall)
	timer := time.AfterFunc(o.Stall, func() { cancel(stalled) })
	defer timer.Stop()
	reason := func(err error) error {
		if context.Cause(ctx) == stalled {
			return stalled
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("%s: %w", host(address), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errFinal, address, err)
	}
	req.Header.Set("User-Agent", "ortrain")
	// The bytes are wanted as they are stored: sizes and ranges count them.
	req.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	answer, err := o.Client.Do(req)
	if err != nil {
		return reason(err)
	}
	defer answer.Body.Close()
	mode := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	switch answer.StatusCode {
	case http.StatusOK: // from the beginning, whatever was asked
		have, mode = 0, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	case http.StatusPartialContent:
		if from, ok := rangeStart(answer.Header.Get("Content-Range")); !ok || from != have {
			os.Remove(part)
			return fmt.Errorf("%s sent another part than asked for", host(address))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if total, ok := strings.CutPrefix(answer.Header.Get("Content-Range"), "bytes */"); ok && total == strconv.FormatInt(have, 10) {
			return nil // it is all there
		}
		os.Remove(part)
		return fmt.Errorf("%s has not as much as is here already", host(address))
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return fmt.Errorf("%s answers %s", host(address), answer.Status)
	default:
		if answer.StatusCode >= 500 {
			return fmt.Errorf("%s answers %s", host(address), answer.Status)
		}
		return fmt.Errorf("%s %w: it answers %s to %s", host(address), errFinal, answer.Status, address)
	}
	total := int64(0)
	if answer.ContentLength >= 0 {
		total = have + answer.ContentLength
	}
	if total > f.Most {
		return fmt.Errorf("%s %w: %s would have %d bytes there, at most %d can be right", host(address), errFinal, f.Name, total, f.Most)
	}
	out, err := os.OpenFile(part, mode, 0o644)
	if err != nil {
		return fmt.Errorf("%w: %w", errLocal, err)
	}
	defer out.Close()
	o.Progress(f.Name, have, total)
	buf := make([]byte, 1<<16)
	for {
		n, err := answer.Body.Read(buf)
		if n > 0 {
			timer.Reset(o.Stall)
			if have += int64(n); have > f.Most {
				return fmt.Errorf("%s %w: it sends more than the %d bytes that %s can have", host(address), errFinal, f.Most, f.Name)
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return fmt.Errorf("%w %s: %w; free some room and run this again", errLocal, part, atomicfile.Cause(err))
			}
			o.Progress(f.Name, have, total)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return reason(err)
		}
	}
	if total > 0 && have < total {
		return fmt.Errorf("%s broke off after %d of %d bytes", host(address), have, total)
	}
	if err := out.Sync(); err != nil {
		return fmt.Errorf("%w %s: %w", errLocal, part, atomicfile.Cause(err))
	}
	return nil
}

// rangeStart reads the first byte of "bytes 100-199/200".
func rangeStart(header string) (int64, bool) {
	rest, ok := strings.CutPrefix(header, "bytes ")
	if !ok {
		return 0, false
	}
	from, _, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, err == nil
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// verify compares a file with its published checksum.
func verify(path, sum string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("%s is not the published file: its MD5 checksum is %s, not %s", path, got, sum)
	}
	return nil
}
