package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// peer is PyTorch's DataLoader in a process of its own; see
// peer_torchvision.py for the protocol.
type peer struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	version string
}

// startPeer starts it. On a machine of more than two cores give both the same
// two: taskset -c 0,1 go run ./tools/bench/loader …
func startPeer(python, folder string) (*peer, error) {
	if _, err := os.Stat(python); err != nil {
		return nil, fmt.Errorf("no Python at %s: run tools/parity/setup.sh, or give -ours-only", python)
	}
	p := &peer{cmd: exec.Command(python, "-W", "ignore", filepath.Join("tools", "bench", "loader", "peer_torchvision.py"), "--folder", folder)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", python, err)
	}
	var ready struct{ Version string }
	if err := p.read(&ready); err != nil {
		return nil, err
	}
	p.version = ready.Version
	return p, nil
}

func (p *peer) read(into any) error {
	if !p.out.Scan() {
		return fmt.Errorf("the peer ended: %w", errors.Join(p.out.Err(), p.cmd.Wait()))
	}
	return json.Unmarshal(p.out.Bytes(), into)
}

// turn loads images with a number of workers and returns images a second.
func (p *peer) turn(workers, images int) (float64, error) {
	if _, err := fmt.Fprintf(p.in, "run %d %d\n", workers, images); err != nil {
		return 0, err
	}
	var answer struct {
		Seconds float64
		Images  int
	}
	if err := p.read(&answer); err != nil {
		return 0, err
	}
	if answer.Images == 0 || answer.Seconds <= 0 {
		return 0, fmt.Errorf("the peer answered %+v", answer)
	}
	return float64(answer.Images) / answer.Seconds, nil
}

func (p *peer) stop() {
	fmt.Fprintln(p.in, "quit")
	p.cmd.Wait()
}
