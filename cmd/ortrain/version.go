package main

import (
	goruntime "runtime"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
)

func (e *environment) version() *cli.Command {
	return command(&cli.Command{
		Name:        "version",
		Usage:       "print the version",
		Description: "  ortrain version",
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			e.out.printf("ortrain %s (%s, %s/%s), made for ONNX Runtime %s\n",
				artifact.Version, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH, runtime.PinnedVersion)
			return nil
		},
	})
}
