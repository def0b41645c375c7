package modelcard

import (
	"fmt"
	"strings"
)

// run shows how the file is used from Python, Node and Go.
func (c *Card) run(w *writer) {
	w.section("How to run it")
	if c.HalfPorts {
		w.line("Input and output are float16; otherwise as any ONNX model, with any ONNX Runtime from 1.24 on.")
		return
	}
	w.line("Python (`pip install onnxruntime pillow numpy`):\n\n```python\n%s\n```\n", c.python())
	w.line("Node (`npm install onnxruntime-node sharp`):\n\n```js\n%s\n```\n", c.node())
	w.line("Go (`github.com/ortrain/ortrain/runtime`, `…/runtime/classify`):\n\n```go\n%s\n```\n", c.goCode())
	w.line("From the command line:\n\n```sh\nortrain predict --onnx %s image.png\n```", c.File)
}

// goCode uses the package that knows every form of a model from its metadata.
func (c *Card) goCode() string {
	return fmt.Sprintf(`lib, err := runtime.FindLibrary("")
if err != nil {
	log.Fatal(err)
}
if err := runtime.Open(lib); err != nil {
	log.Fatal(err)
}
m, err := classify.Open(%q, classify.Options{})
if err != nil {
	log.Fatal(err)
}
defer m.Close()
answers, err := m.Files(context.Background(), "image.png")
if err != nil {
	log.Fatal(err)
}
for _, class := range answers[0].Top(3) {
	fmt.Printf("%%.4f %%s\n", class.Probability, class.Name)
}`, c.File)
}

func (c *Card) python() string {
	mode := "RGB"
	if c.Input[0] == 1 {
		mode = "L"
	}
	s := fmt.Sprintf(`import json, sys
import numpy as np, onnxruntime as ort
from PIL import Image

session = ort.InferenceSession(%q)
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
image = Image.open(sys.argv[1]).convert(%q)
`, c.File, mode)
	filter := strings.ToUpper(c.Interpolation)
	switch {
	case c.Pixels:
		s += fmt.Sprintf("x = np.asarray(image, np.uint8).reshape(1, image.height, image.width, %d)\n", c.Input[0])
	default:
		s += c.pythonFit(filter)
		s += fmt.Sprintf(`mean = np.array(%s, np.float32)
std = np.array(%s, np.float32)
x = (np.asarray(image, np.float32).reshape(%d, %d, %d) / 255 - mean) / std
x = x.transpose(2, 0, 1)[None].astype(np.float32)
`, list(c.Mean), list(c.Std), c.Input[1], c.Input[2], c.Input[0])
	}
	switch {
	case c.TopK > 0:
		s += fmt.Sprintf(`scores, classes = session.run(None, {%q: x})
for score, k in zip(scores[0], classes[0]):
    print(f"{score:.4f} {names[k]}")`, c.InputName)
	case c.Softmax:
		s += fmt.Sprintf(`p = session.run(None, {%q: x})[0][0]
for k in np.argsort(-p)[:5]:
    print(f"{p[k]:.4f} {names[k]}")`, c.InputName)
	default:
		s += fmt.Sprintf(`logits = session.run(None, {%q: x})[0][0]
p = np.exp(logits - logits.max())
p /= p.sum()
for k in np.argsort(-p)[:5]:
    print(f"{p[k]:.4f} {names[k]}")`, c.InputName)
	}
	return s
}

// pythonFit brings the image to the network's size as the loader does.
func (c *Card) pythonFit(filter string) string {
	if c.Resize > 0 {
		return fmt.Sprintf(`w, h = image.size
short = min(w, h)
image = image.resize((w * %[1]d // short, h * %[1]d // short), Image.%[4]s)
left, top = round((image.width - %[3]d) / 2), round((image.height - %[2]d) / 2)
image = image.crop((left, top, left + %[3]d, top + %[2]d))
`, c.Resize, c.Input[1], c.Input[2], filter)
	}
	return fmt.Sprintf(`w, h = min(image.width, image.height * %[2]d // %[1]d), min(image.height, image.width * %[1]d // %[2]d)
left, top = (image.width - w) // 2, (image.height - h) // 2
image = image.crop((left, top, left + w, top + h)).resize((%[2]d, %[1]d), Image.%[3]s)
`, c.Input[1], c.Input[2], filter)
}

func (c *Card) node() string {
	colour := ".removeAlpha().toColourspace('srgb')"
	if c.Input[0] == 1 {
		colour = ".removeAlpha().toColourspace('b-w')"
	}
	s := fmt.Sprintf(`import ort from 'onnxruntime-node';
import sharp from 'sharp';

const names = %s;
const session = await ort.InferenceSession.create('%s');
`, c.jsNames(), c.File)
	if c.Pixels {
		s += fmt.Sprintf(`const { data, info } = await sharp(process.argv[2])%s.raw().toBuffer({ resolveWithObject: true });
const x = new ort.Tensor('uint8', new Uint8Array(data), [1, info.height, info.width, %d]);
`, colour, c.Input[0])
	} else {
		s += fmt.Sprintf(`const data = await sharp(process.argv[2])%s.resize(%d, %d, { fit: 'cover' }).raw().toBuffer();
const mean = %s, std = %s, size = %d;
const planes = new Float32Array(%d * size);
for (let i = 0; i < planes.length; i++) {
  const c = Math.floor(i / size);
  planes[i] = (data[(i %% size) * %d + c] / 255 - mean[c]) / std[c];
}
const x = new ort.Tensor('float32', planes, [1, %d, %d, %d]);
`, colour, c.Input[2], c.Input[1], list(c.Mean), list(c.Std), c.Input[1]*c.Input[2], c.Input[0], c.Input[0], c.Input[0], c.Input[1], c.Input[2])
	}
	s += fmt.Sprintf("const out = await session.run({ %s: x });\n", c.InputName)
	switch {
	case c.TopK > 0:
		s += fmt.Sprintf(`out.%s.data.forEach((k, i) => console.log(out.%s.data[i].toFixed(4), names[Number(k)]));`, c.OutputNames[1], c.OutputNames[0])
	case c.Softmax:
		s += fmt.Sprintf(`const p = [...out.%s.data];
p.map((v, k) => [v, names[k]]).sort((a, b) => b[0] - a[0]).slice(0, 5).forEach(([v, n]) => console.log(v.toFixed(4), n));`, c.OutputNames[0])
	default:
		s += fmt.Sprintf(`const logits = [...out.%s.data], top = Math.max(...logits);
const e = logits.map((v) => Math.exp(v - top)), sum = e.reduce((a, b) => a + b);
e.map((v, k) => [v / sum, names[k]]).sort((a, b) => b[0] - a[0]).slice(0, 5).forEach(([v, n]) => console.log(v.toFixed(4), n));`, c.OutputNames[0])
	}
	return s
}

// jsNames are the class names as a literal. Node's binding does not read a
// model's metadata.
func (c *Card) jsNames() string {
	parts := make([]string, len(c.Classes))
	for i, n := range c.Classes {
		parts[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
