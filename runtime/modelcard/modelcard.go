// Package modelcard writes model cards: one page of Markdown that says what a
// model is, what it was trained on, how well it does and how it is run
// (Mitchell et al., "Model Cards for Model Reporting", 2019). A card holds what
// is known and names what is not; nothing in it is guessed.
package modelcard

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Card is what a model's card says.
type Card struct {
	// File is the model's file name without its folder.
	File string
	// Bytes is its size and SHA256 its digest in hexadecimal.
	Bytes  int64
	SHA256 string

	Model      string
	Options    map[string]string
	Parameters int
	// FLOPs are multiply-adds of one image.
	FLOPs     int64
	Precision string
	// Quantisation says how int8 was made; Norms how many batch norms were
	// folded.
	Quantisation string
	Norms        int
	Producer     string
	License      string

	Dataset string
	Classes []string
	// TrainImages is 0 if unknown.
	TrainImages int
	// Input is C, H, W of the network; Mean and Std its normalisation.
	Input     [3]int
	Mean, Std []float32
	// Pixels tells that the model takes raw pixels and prepares them itself.
	Pixels        bool
	Resize        int
	Interpolation string
	// HalfPorts tells that input and output are float16.
	HalfPorts bool
	// Softmax and TopK say what the outputs hold; InputName and OutputNames
	// are the ports.
	Softmax     bool
	TopK        int
	InputName   string
	OutputNames []string

	// HeldOut names the images of Rows ("test" or "validation"); Chosen is the
	// form in the file.
	HeldOut string
	Rows    []Row
	// Epochs is the length of the training, Run its folder, RecipeHash and
	// Recipe (YAML) what it was.
	Epochs     int
	Run        string
	RecipeHash string
	Recipe     string
	// Curves is the picture's file name, empty if there is none.
	Curves string
}

// Row are the figures of one form of the model.
type Row struct {
	Form                        string
	Bytes                       int64
	Images                      int
	Top1, Top5, Loss, Agreement float64
	// Latency in milliseconds, median and 95th percentile, by batch.
	Latency []Latency
}

// Latency is how long a batch takes.
type Latency struct {
	Batch    int
	P50, P95 float64
}

// Markdown renders the card.
func (c *Card) Markdown() string {
	w := &writer{}
	w.line("# %s on %s", c.Model, c.Dataset)
	w.line("")
	w.line("An image classifier of %d classes, as an ONNX file: `%s`.", len(c.Classes), c.File)
	c.facts(w)
	c.figures(w)
	c.data(w)
	c.use(w)
	c.run(w)
	c.training(w)
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	if len(args) == 0 {
		w.WriteString(format + "\n")
		return
	}
	fmt.Fprintf(w, format+"\n", args...)
}

func (w *writer) section(name string) { w.line("\n## %s\n", name) }

func (c *Card) facts(w *writer) {
	w.line("\n| | |\n| --- | --- |")
	row := func(name, format string, args ...any) { w.line("| %s | %s |", name, fmt.Sprintf(format, args...)) }
	options := ""
	if len(c.Options) > 0 {
		var list []string
		for k, v := range c.Options {
			list = append(list, k+" "+v)
		}
		slices.Sort(list)
		options = " (" + strings.Join(list, ", ") + ")"
	}
	row("network", "%s%s, %s parameters, %s multiply-adds an image", c.Model, options, thousands(int64(c.Parameters)), thousands(c.FLOPs))
	row("precision", "%s", c.Precision)
	if c.Quantisation != "" {
		row("quantisation", "%s", c.Quantisation)
	}
	if c.Norms > 0 {
		row("batch norms", "%d folded into the weights before them", c.Norms)
	}
	row("input", "%s", c.inputText())
	row("output", "%s", c.outputText())
	row("file", "%s bytes, SHA-256 `%s`", thousands(c.Bytes), c.SHA256)
	license := c.License
	if license == "" {
		license = "not stated"
	}
	row("licence of the weights", "%s", license)
	row("written by", "%s", c.Producer)
}

func (c *Card) inputText() string {
	if c.Pixels {
		how := "the largest window of the input's shape is cut out of the middle and scaled"
		if c.Resize > 0 {
			how = fmt.Sprintf("the short side is scaled to %d pixels and the middle cut out", c.Resize)
		}
		return fmt.Sprintf("`%s`: raw pixels, uint8, N×height×width×%d, any height and width; %s to %d×%d (%s, antialiased), then normalised, in the graph",
			c.InputName, c.Input[0], how, c.Input[1], c.Input[2], c.Interpolation)
	}
	typ := "float32"
	if c.HalfPorts {
		typ = "float16"
	}
	return fmt.Sprintf("`%s`: %s, N×%d×%d×%d (%s), each channel (value/255 − mean)/std with mean %s and std %s",
		c.InputName, typ, c.Input[0], c.Input[1], c.Input[2], channels(c.Input[0]), list(c.Mean), list(c.Std))
}

func channels(n int) string {
	if n == 1 {
		return "grey"
	}
	return "red, green, blue"
}

func (c *Card) outputText() string {
	values := "logits"
	if c.Softmax {
		values = "probabilities"
	}
	if c.TopK > 0 {
		return fmt.Sprintf("`%s`: the %d largest %s of each image, float32; `%s`: their classes, int64", c.OutputNames[0], c.TopK, values, c.OutputNames[1])
	}
	return fmt.Sprintf("`%s`: %s, N×%d", c.OutputNames[0], values, len(c.Classes))
}

func (c *Card) figures(w *writer) {
	w.section("How well it does")
	if len(c.Rows) == 0 {
		w.line("Not measured when the file was written.")
	} else {
		w.line("Measured when the file was written, on %s %s images of %s. The times are of one machine and say how the forms compare.\n",
			thousands(int64(c.Rows[0].Images)), c.HeldOut, c.Dataset)
		header, rule := "| form | size | top-1 | top-5 | loss | same class as "+c.Rows[0].Form, "| --- | ---: | ---: | ---: | ---: | ---:"
		for _, l := range c.Rows[0].Latency {
			header += fmt.Sprintf(" | batch %d: median (95 %%)", l.Batch)
			rule += " | ---:"
		}
		w.line("%s", header+" |")
		w.line("%s", rule+" |")
		for _, r := range c.Rows {
			row := fmt.Sprintf("| %s | %s KiB | %s | %s | %.4f | %s", r.Form, thousands((r.Bytes+1023)/1024),
				percent(r.Top1), percent(r.Top5), r.Loss, percent(r.Agreement))
			for _, l := range r.Latency {
				row += fmt.Sprintf(" | %s ms (%s)", short(l.P50), short(l.P95))
			}
			w.line("%s", row+" |")
		}
	}
	if c.Curves != "" {
		w.line("\n![loss, accuracy and learning rate of the training](%s)", c.Curves)
	}
}

func (c *Card) data(w *writer) {
	w.section("Data")
	images := ""
	if c.TrainImages > 0 {
		images = fmt.Sprintf(", %s images", thousands(int64(c.TrainImages)))
	}
	w.line("Trained on `%s`%s. Classes, in the order of the output:\n", c.Dataset, images)
	names := c.Classes
	const most = 200
	rest := 0
	if len(names) > most {
		names, rest = names[:most], len(names)-most
	}
	var listed []string
	for i, n := range names {
		listed = append(listed, fmt.Sprintf("%d %s", i, escape(n)))
	}
	text := strings.Join(listed, ", ")
	if rest > 0 {
		text += fmt.Sprintf(", and %d more (all are in the file's metadata, `class_names`)", rest)
	}
	w.line("%s.", text)
}

func (c *Card) use(w *writer) {
	w.section("What it is for, and its limits")
	w.line("* It answers one question: which of the %d classes above an image shows. It has no answer for anything else: an image of none of them gets one of them all the same.", len(c.Classes))
	w.line("* It sees %d×%d pixels of an image.", c.Input[1], c.Input[2])
	if len(c.Rows) > 0 {
		w.line("* The figures hold for images like the %s images of %s. Other sources, cameras, croppings or compressions were not measured.", c.HeldOut, c.Dataset)
		chosen := c.Rows[len(c.Rows)-1]
		w.line("* Of 100 such images it gets about %d wrong.", int(math.Round(100*(1-chosen.Top1))))
	}
	w.line("* Not looked at when this was written: groups of people or places in the data, confidence (whether a probability of 0.9 is right nine times in ten), manipulated images.")
	if c.License == "" {
		w.line("* Whoever passes the file on has to find out under which licence: none was stated, and the data may set terms.")
	}
}

func (c *Card) training(w *writer) {
	w.section("How it was trained")
	w.line("%d epochs, in the run `%s`; the recipe's hash is `%s`.", c.Epochs, escape(c.Run), c.RecipeHash)
	w.line("\n<details><summary>The recipe</summary>\n\n```yaml\n%s\n```\n\n</details>", strings.TrimRight(c.Recipe, "\n"))
}

// percent writes a share of 1.
func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 2, 64) + " %" }

// short writes milliseconds to three digits.
func short(x float64) string {
	if x >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// escape keeps a text from being read as Markdown.
func escape(s string) string {
	return strings.NewReplacer("`", "'", "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "\n", " ").Replace(s)
}

func list(v []float32) string {
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = strconv.FormatFloat(float64(x), 'g', -1, 32)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
