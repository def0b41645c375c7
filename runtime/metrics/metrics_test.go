package metrics

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func epoch(n int) Epoch {
	x := float64(n)
	return Epoch{Epoch: n, Step: int64(391 * n), LR: 0.1 / x, TrainLoss: 2.3 / x, TrainAccuracy: 1 - 0.6/x,
		TestLoss: 2.2 / x, TestAccuracy: 1 - 0.5/x, TestTop5: 1 - 0.1/x,
		ImagesPerSecond: 512.25, WaitShare: 0.0125, Seconds: 97.5}
}

const known = `epoch,step,lr,train_loss,train_accuracy,test_loss,test_accuracy,test_top5,images_per_second,wait_share,seconds
1,391,0.1,2.3,0.4,2.2,0.5,0.9,512.2,0.0125,97.50
`

func TestKnownText(t *testing.T) {
	if got := string(Encode([]Epoch{epoch(1)})); got != known {
		t.Errorf("encoded\n%s want\n%s", got, known)
	}
	unknown := epoch(1)
	unknown.TestLoss, unknown.TestAccuracy, unknown.TestTop5 = math.NaN(), math.NaN(), math.NaN()
	text := Encode([]Epoch{unknown})
	if !bytes.Contains(text, []byte("0.4,,,,512.2")) {
		t.Errorf("missing values are written as %s", text)
	}
	got, err := Decode(text)
	if err != nil || !math.IsNaN(got[0].TestTop5) {
		t.Errorf("missing values are read as %v, %v", got, err)
	}
}

// TestTeacherColumn: the wait for a teacher is written where there was one.
func TestTeacherColumn(t *testing.T) {
	taught := []Epoch{epoch(1), epoch(2)}
	taught[1].TeacherWaitShare = 0.25
	text := string(Encode(taught))
	if !strings.HasPrefix(text, strings.SplitN(known, "\n", 2)[0]+",teacher_wait_share\n") || !strings.HasSuffix(text, ",97.50,0.2500\n") {
		t.Errorf("encoded\n%s", text)
	}
	got, err := Decode([]byte(text))
	if err != nil || got[0].TeacherWaitShare != 0 || got[1].TeacherWaitShare != 0.25 {
		t.Errorf("read as %v, %v", got, err)
	}
}

func TestLogResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	write := func(l *Log, from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			if err := l.Append(epoch(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := func(keep int) *Log {
		t.Helper()
		l, err := Open(path, keep)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	read := func() string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write(open(0), 1, 4)
	whole := read()

	l := open(2) // stopped in epoch 4, the checkpoint is of epoch 2
	if n := len(l.Epochs()); n != 2 {
		t.Fatalf("%d epochs were kept", n)
	}
	if read() != whole {
		t.Error("opening changed the file")
	}
	write(l, 3, 3)
	if n := strings.Count(read(), "\n"); n != 4 {
		t.Errorf("after resuming the file has %d lines:\n%s", n, read())
	}
	write(l, 4, 4)
	if read() != whole {
		t.Errorf("a resumed history differs:\n%s", read())
	}
	if err := l.Append(epoch(4)); err == nil {
		t.Error("an epoch was appended twice")
	}
	write(open(0), 1, 1)
	if n := strings.Count(read(), "\n"); n != 2 {
		t.Errorf("a new run left %d lines", n)
	}
	os.Remove(path)
	write(open(7), 8, 8)
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"empty":       {"", "not a metrics file"},
		"other":       {"a,b\n1,2\n", "not a metrics file"},
		"short row":   {known + "2,3\n", "line 3"},
		"word":        {strings.Replace(known, "2.3", "low", 1), `line 2: train_loss: "low"`},
		"fraction":    {strings.Replace(known, "\n1,", "\n1.5,", 1), "line 2: epoch"},
		"order":       {known + strings.SplitAfter(known, "\n")[1], "line 3: epoch 1 follows epoch 1"},
		"open quotes": {known + `"`, "line 3"},
	} {
		path := filepath.Join(t.TempDir(), File)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(known))
	f.Add([]byte(strings.Replace(known, "0.9", "", 1)))
	f.Add([]byte("epoch,step\n1,2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		epochs, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(epochs))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(Encode(epochs), Encode(again)) {
			t.Fatalf("%v became %v", epochs, again)
		}
	})
}

func TestCurves(t *testing.T) {
	for _, n := range []int{1, 2, 7, 200} {
		c := Curves{Title: "ResNet-20 on CIFAR-10"}
		for i := range n {
			c.Epochs = append(c.Epochs, epoch(i+1))
		}
		c.Epochs[0].TestLoss, c.Epochs[0].TestAccuracy = math.NaN(), math.NaN()
		for s := range 20 * n {
			c.LearningRate = append(c.LearningRate, LRPoint{float64(s) / 20, 0.1 * float64(s)})
		}
		b, err := c.PNG()
		if err != nil {
			t.Fatal(err)
		}
		im, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if s := im.Bounds().Size(); s.X != 1800 || s.Y != 600 {
			t.Errorf("the picture is %v", s)
		}
		again, err := c.PNG()
		if err != nil || !bytes.Equal(b, again) {
			t.Error("the same curves gave other bytes")
		}
	}
	if _, err := (Curves{}).PNG(); err == nil {
		t.Error("no epochs were drawn")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 0.1, "0.00 0.02 0.04 0.06 0.08 0.10"},
		{0, 2.4, "0.0 0.5 1.0 1.5 2.0"},
		{40, 100, "40 50 60 70 80 90 100"},
		{98.2, 100, "98.5 99.0 99.5 100.0"},
		{0, 1.4, "0.00 0.25 0.50 0.75 1.00 1.25"},
		{0, 0.00026, "0.00000 0.00005 0.00010 0.00015 0.00020 0.00025"},
	} {
		var labels []string
		for _, k := range (valueTicks{}).Ticks(c.low, c.high) {
			labels = append(labels, k.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("ticks of %g to %g are %s, want %s", c.low, c.high, got, c.want)
		}
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{{1, 4, "1 2 3 4"}, {0, 4, "0 1 2 3 4"}, {1, 200, "25 50 75 100 125 150 175 200"}, {0, 2, "0 1 2"}} {
		var labels []string
		for _, k := range (epochTicks{}).Ticks(c.low, c.high) {
			labels = append(labels, k.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("epochs of %g to %g are %s, want %s", c.low, c.high, got, c.want)
		}
	}
}
