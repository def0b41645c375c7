// Ortrain trains image classifiers on a stock ONNX Runtime from the command
// line. It is a thin layer over package runtime/job, which a Go program can
// call to the same effect.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/ortrain/ortrain/graphs/artifact"
)

func main() {
	// A limit on the size of files is an error of writing, which names the file.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	said := terminal(os.Stderr)
	go watchSignals(cancel, said)
	nameVersion()
	os.Exit(run(ctx, os.Args, terminal(os.Stdout), said))
}

// watchSignals cancels on the first interrupt, so that a run can finish its
// step and save, and exits at once on the second. A terminal that goes away is
// an interrupt, unless nohup has said otherwise.
func watchSignals(cancel func(), said *stream) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	<-signals
	cancel()
	if said.live {
		said.println("\nstopping; once more quits at once")
	}
	<-signals
	fmt.Fprintln(os.Stderr, "\nortrain: quit at once")
	os.Exit(exitInterrupted)
}

// nameVersion takes the version of a program built by go install, where no
// linker flag sets it.
func nameVersion() {
	if info, ok := debug.ReadBuildInfo(); ok && artifact.Version == "dev" {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			artifact.Version = v
		}
	}
}
