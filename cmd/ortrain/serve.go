package main

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/serve"
)

func (e *environment) serve() *cli.Command {
	return command(&cli.Command{
		Name:  "serve",
		Usage: "classify images over HTTP",
		Description: `Answers POST /v1/classify with the most likely classes as JSON; also there are
GET /v1/model, /healthz, /readyz and /metrics (Prometheus). Requests that
arrive together run together; on provider cuda every run is of --batch images,
blank ones included. Ctrl-C or SIGTERM finishes what is in progress.

  ortrain serve --onnx runs/demo/model.onnx
  ortrain serve --onnx runs/demo/model.onnx --provider cuda --batch 8
  curl -H 'Content-Type: image/png' --data-binary @seven.png localhost:8080/v1/classify
  curl -F image=@one.jpg -F image=@two.jpg 'localhost:8080/v1/classify?top=3'`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "onnx", Usage: "ONNX classifier `FILE`"},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "`HOST:PORT` to listen on (default 127.0.0.1:8080: this machine only)"},
			&cli.IntFlag{Name: "top", Usage: "`N` classes an image unless the request says ?top=N (default 5)"},
			&cli.IntFlag{Name: "batch", Usage: "at most `N` images at a time, 1: no batching (default 32, or the model's own)"},
			&cli.DurationFlag{Name: "delay", Usage: "the `TIME` that an image waits for others that are being decoded (default 2ms)"},
			&cli.IntFlag{Name: "queue", Usage: "at most `N` requests in progress, more get 429 (default 256)"},
			&cli.IntFlag{Name: "images", Usage: "at most `N` images a request (default 16)"},
			&cli.Float64Flag{Name: "max-mib", Usage: "requests of at most `N` MiB (default 16)"},
			&cli.Float64Flag{Name: "max-megapixels", Usage: "images of at most `N` megapixels (default 67)"},
			&cli.DurationFlag{Name: "upload-timeout", Usage: "`TIME` for a client to send its request (default 15s)"},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` for an answer after that (default 10s)"},
			&cli.DurationFlag{Name: "drain", Usage: "`TIME` for what is in progress when it stops (default 30s)"},
			&cli.StringFlag{Name: "log", Value: "text", Usage: "`FORMAT` of a line for every request: text, json or off (default text)"},
		}, append(declareFlags(), executionFlags()...)...),
		Action: e.runServe,
	})
}

func (e *environment) runServe(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.String("onnx") == "" {
		return &usageError{"serve", "give the model with --onnx FILE"}
	}
	for _, name := range []string{"top", "batch", "queue", "images"} {
		if c.IsSet(name) && c.Int(name) < 1 {
			return &usageError{"serve", fmt.Sprintf("--%s %d: give at least 1", name, c.Int(name))}
		}
	}
	for _, name := range []string{"max-mib", "max-megapixels"} {
		if v := c.Float64(name); c.IsSet(name) && !(v > 0 && v <= 1<<20) {
			return &usageError{"serve", fmt.Sprintf("--%s %v: give a number above 0", name, v)}
		}
	}
	for _, name := range []string{"upload-timeout", "timeout", "drain"} {
		if c.IsSet(name) && c.Duration(name) <= 0 {
			return &usageError{"serve", fmt.Sprintf("--%s %v: give a time above 0, such as 10s", name, c.Duration(name))}
		}
	}
	if _, _, err := net.SplitHostPort(c.String("listen")); err != nil {
		return &usageError{"serve", fmt.Sprintf("--listen %q: give host and port, such as 127.0.0.1:8080", c.String("listen"))}
	}
	logger, err := e.requestLog(c.String("log"))
	if err != nil {
		return err
	}
	declared, err := declaredInfo(c)
	if err != nil {
		return err
	}
	execution, err := executionOf(c)
	if err != nil {
		return err
	}
	delay := c.Duration("delay")
	if c.IsSet("delay") && delay <= 0 {
		delay = -1 // not at all
	}
	answered, err := job.Serve(c.Context, job.ServeConfig{
		ONNX: c.String("onnx"), Listen: c.String("listen"), Declared: declared,
		MaxPixels: int(c.Float64("max-megapixels") * 1e6), Execution: execution,
		Server: serve.Config{
			Batch: c.Int("batch"), Delay: delay, Queue: c.Int("queue"), Images: c.Int("images"),
			Body: int64(c.Float64("max-mib") * (1 << 20)), Upload: c.Duration("upload-timeout"),
			Timeout: c.Duration("timeout"), Drain: c.Duration("drain"), Top: c.Int("top"), Log: logger,
		},
		Started: e.serving,
	})
	if err != nil {
		return declareHint(err)
	}
	e.err.println("stopped; " + plural(answered, "request") + " answered")
	return nil
}

// serving says where the model is to be found.
func (e *environment) serving(at net.Addr, m *classify.Model) {
	if tcp, ok := at.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		e.err.println("warning: " + at.String() + " can be reached from other machines, without encryption or passwords: put a proxy in front that has them")
	}
	classes := ""
	if n := m.Network().Classes(); n > 0 {
		classes = " (" + count(n) + " classes)"
	}
	e.err.printf("serving %s%s at http://%s/v1/classify\n", m.Name(), classes, at)
}

// requestLog returns where a line for every request goes.
func (e *environment) requestLog(format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(e.err, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.err, nil)), nil
	case "off":
		return nil, nil
	}
	return nil, &usageError{"serve", fmt.Sprintf("--log %q: text, json or off", format)}
}
