package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime/job"
)

// The pace of progress: a live line is redrawn often enough to feel alive, a
// log gets a line now and then.
const (
	redraw   = 100 * time.Millisecond
	logEvery = 30 * time.Second
)

// progress shows how a run goes: on a terminal a live line that is redrawn in
// place, elsewhere plain lines. It implements job.Reporter.
type progress struct {
	out  *stream
	now  func() time.Time
	last time.Time // of the live line or the last plain line
	live bool      // a live line is on the screen
	done string    // characters of the bar
	left string
	// epoch is the last step's state, for the line of an evaluation.
	epoch job.Progress
}

func newProgress(out *stream) *progress {
	p := &progress{out: out, now: time.Now, done: "=", left: "-"}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			if strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8") {
				p.done, p.left = "━", "─"
			}
			break
		}
	}
	p.last = p.now()
	return p
}

// Start implements job.Reporter.
func (p *progress) Start(plan job.Plan) {
	how := ""
	if plan.Mixed {
		how = " in mixed precision"
	}
	p.line(fmt.Sprintf("%s with %s on %s%s: %s parameters, %s multiply-adds an image",
		p.out.bold(plan.Model), plan.Optimizer, plan.Dataset, how, count(plan.Parameters), short(plan.FLOPs)))
	p.line(fmt.Sprintf("%s training and %s test images, %s of %s of %d",
		count(plan.TrainImages), count(plan.TestImages), plural(plan.Epochs, "epoch"), plural(plan.StepsPerEpoch, "step"), plan.Batch))
	workers := "a loader worker per core"
	if plan.Workers > 0 {
		workers = plural(plan.Workers, "loader worker")
	}
	p.line(fmt.Sprintf("ONNX Runtime %s, %s, %s; writing to %s", plan.Library, plural(plan.Threads, "thread"), workers, plan.Out))
	if plan.FirstEpoch > 0 || plan.FirstStep > 0 {
		p.line(fmt.Sprintf("resuming at epoch %d, step %d", plan.FirstEpoch+1, plan.FirstStep+1))
	}
	p.last = p.now()
}

// Step implements job.Reporter.
func (p *progress) Step(g job.Progress) {
	p.epoch = g
	now := p.now()
	if p.out.live {
		if now.Sub(p.last) >= redraw || g.Step == g.StepsPerEpoch {
			p.last = now
			p.draw(p.stepLine(g))
		}
		return
	}
	if now.Sub(p.last) >= logEvery && g.Step < g.StepsPerEpoch {
		p.last = now
		p.line(strings.Join(append([]string{epochOf(g), fmt.Sprintf("step %d/%d", g.Step, g.StepsPerEpoch)}, figures(g, false)...), "  "))
	}
}

// Evaluating implements job.Reporter.
func (p *progress) Evaluating(done, total int) {
	if !p.out.live || total <= 0 {
		return
	}
	if now := p.now(); now.Sub(p.last) >= redraw || done == total {
		p.last = now
		text := "evaluating"
		if p.epoch.Epochs > 0 {
			text = epochOf(p.epoch) + " evaluating"
		}
		p.draw([]string{text, p.bar(done, total, 24), fmt.Sprintf("%s/%s images", count(done), count(total))})
	}
}

// Stage shows how far a part of a longer job is.
func (p *progress) Stage(name string, done, total int) {
	if !p.out.live || total <= 0 {
		return
	}
	if now := p.now(); now.Sub(p.last) >= redraw || done == total {
		p.last = now
		p.draw([]string{name, p.bar(done, total, 24), fmt.Sprintf("%s/%s images", count(done), count(total))})
	}
}

// Epoch implements job.Reporter.
func (p *progress) Epoch(e job.Epoch) {
	parts := []string{epochOf(e.Progress), fmt.Sprintf("loss %s  accuracy %.2f%%", loss(e.Loss), 100*e.Accuracy)}
	if e.HeldOut != "" {
		parts = append(parts, p.out.bold(fmt.Sprintf("%s loss %s  accuracy %.2f%%", e.HeldOut, loss(e.TestLoss), 100*e.Top1)))
	}
	parts = append(parts, "lr "+rate(e.LR), count(int(e.ImagesPerSecond))+" images/s",
		fmt.Sprintf("data wait %.1f%%", 100*e.WaitShare))
	if e.Taught {
		parts = append(parts, fmt.Sprintf("teacher wait %.1f%%", 100*e.TeacherWaitShare))
	}
	parts = append(parts, duration(e.Seconds))
	if e.Progress.Epoch+1 < e.Epochs {
		parts = append(parts, clock(e.Left)+" left")
	}
	p.line(strings.Join(parts, "  "))
	if e.Loading.WaitShare() >= data.WorthAWord {
		p.line("    " + p.out.faint("loader: "+e.Loading.Stages()))
		p.line("    " + e.Loading.Verdict())
	}
	p.last = p.now()
}

// Note implements job.Reporter.
func (p *progress) Note(line string) { p.line(oneLine(line)) }

// close leaves the terminal with a clean line.
func (p *progress) close() {
	if p.live {
		p.out.printf("\r\x1b[K")
		p.live = false
	}
}

// line prints a line that stays.
func (p *progress) line(text string) {
	clear := ""
	if p.live {
		clear, p.live = "\r\x1b[K", false
	}
	p.out.printf("%s%s\n", clear, text)
}

// draw replaces the live line by as many of the parts as fit: in one write,
// and erasing only what the new line does not cover, so that nothing flickers.
func (p *progress) draw(parts []string) {
	width := p.out.width() - 1
	text, used := "", 0
	for i, part := range parts {
		n := visible(part)
		if i > 0 {
			n += 2
		}
		if used+n > width {
			break
		}
		if i > 0 {
			text += "  "
		}
		text += part
		used += n
	}
	p.out.printf("\r%s\x1b[K", text)
	p.live = true
}

// visible counts the columns of a text, leaving out colour sequences.
func visible(s string) int {
	for {
		start := strings.Index(s, "\x1b[")
		if start < 0 {
			return utf8.RuneCountInString(s)
		}
		end := strings.IndexByte(s[start:], 'm')
		if end < 0 {
			return utf8.RuneCountInString(s[:start])
		}
		s = s[:start] + s[start+end+1:]
	}
}

// stepLine gives the figures the room they need and the bar what is left.
func (p *progress) stepLine(g job.Progress) []string {
	head := fmt.Sprintf("%s %3d%%", epochOf(g), 100*g.Step/max(1, g.StepsPerEpoch))
	parts := figures(g, false)
	room := p.room(head, parts)
	if room < 0 {
		parts = figures(g, true)
		room = p.room(head, parts)
	}
	if room >= 6 {
		head += " " + p.bar(g.Step, g.StepsPerEpoch, min(30, room))
	}
	return append([]string{head}, parts...)
}

// room is the width that a line leaves for a bar; below 0 it does not fit.
func (p *progress) room(head string, parts []string) int {
	room := p.out.width() - 2 - visible(head)
	for _, part := range parts {
		room -= 2 + visible(part)
	}
	return room
}

// figures are the state of an epoch, most important first: the end is cut on
// narrow terminals. Their widths are steady, so that a line does not jitter.
func figures(g job.Progress, short bool) []string {
	accuracy, images, wait := "accuracy %5.1f%%", "%6s images/s", "data wait %4.1f%%"
	if short {
		accuracy, images, wait = "acc %.1f%%", "%s img/s", "wait %.1f%%"
	}
	if g.Taught {
		wait += teacherWait(g, short)
	}
	return []string{
		"loss " + loss(g.Loss), fmt.Sprintf(accuracy, 100*g.Accuracy), clock(g.Left) + " left",
		fmt.Sprintf(images, count(int(g.ImagesPerSecond))), fmt.Sprintf(wait, 100*g.WaitShare), fmt.Sprintf("lr %-8s", rate(g.LR)),
	}
}

// teacherWait is the wait for the teacher, as the end of another figure.
func teacherWait(g job.Progress, short bool) string {
	format := "  teacher wait %4.1f%%%%"
	if short {
		format = "  teacher %.1f%%%%"
	}
	return fmt.Sprintf(format, 100*g.TeacherWaitShare)
}

func epochOf(g job.Progress) string { return fmt.Sprintf("epoch %d/%d", g.Epoch+1, g.Epochs) }

func (p *progress) bar(done, total, width int) string {
	n := 0
	if total > 0 {
		n = min(width, done*width/total)
	}
	return p.out.green(strings.Repeat(p.done, n)) + p.out.faint(strings.Repeat(p.left, width-n))
}

// loss writes a loss; that of a run that is about to diverge may have many
// digits.
func loss(x float64) string {
	if math.Abs(x) >= 1e7 {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return strconv.FormatFloat(x, 'f', 4, 64)
}
