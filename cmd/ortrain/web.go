package main

import (
	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) web() *cli.Command {
	return command(&cli.Command{
		Name:  "web",
		Usage: "write a web page that classifies dropped images",
		Description: `Writes a folder of static files for any web server: the page runs the model in
the browser with onnxruntime-web, an npm package that has to be installed.

  npm install onnxruntime-web@1.30.0
  ortrain web --onnx runs/demo/model.onnx --out site
  python3 -m http.server --directory site`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "onnx", Usage: "ONNX classifier `FILE`"},
			&cli.StringFlag{Name: "out", Usage: "folder `DIR` to write"},
			&cli.StringFlag{Name: "ort-web", Usage: "onnxruntime-web's `DIR` (default: node_modules here or above)"},
		}, append(declareFlags(), libraryFlag())...),
		Action: e.runWeb,
	})
}

func (e *environment) runWeb(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.String("onnx") == "" || c.String("out") == "" {
		return &usageError{"web", "give the model with --onnx FILE and the folder to write with --out DIR"}
	}
	declared, err := declaredInfo(c)
	if err != nil {
		return err
	}
	version, err := job.Web(job.WebConfig{ONNX: c.String("onnx"), Out: c.String("out"), Declared: declared,
		Package: c.String("ort-web"), Library: c.String("library")})
	if err != nil {
		return declareHint(err)
	}
	e.out.printf("%s/  the page, the model and onnxruntime-web %s\n", c.String("out"), version)
	e.err.printf("look at it with: python3 -m http.server --directory %s\n", shellWord(c.String("out")))
	return nil
}
