package job

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/recipe"
)

func changed(t *testing.T, changes ...string) *recipe.Recipe {
	t.Helper()
	r := recipe.Default()
	for _, c := range changes {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func course(t *testing.T, out string, changes ...string) *Course {
	t.Helper()
	c, err := Schedule(ScheduleConfig{Recipe: changed(t, changes...), StepsPerEpoch: 100, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// find returns the points whose words contain what.
func (c *Course) find(what string) (found []CoursePoint) {
	for _, p := range c.Points {
		if strings.Contains(p.What, what) {
			found = append(found, p)
		}
	}
	return found
}

func TestScheduleNamesSeamsTurnsAndJumps(t *testing.T) {
	out := filepath.Join(t.TempDir(), "lr.png")
	c := course(t, out, "epochs=20", "schedule={name: cosine, lr: 0.4, warmup: {epochs: 5}}")
	if c.Steps != 2000 || c.Base != 0.4 || c.Highest != 0.4 || c.Lowest != 0 || c.Reacts {
		t.Errorf("%+v", c)
	}
	for _, want := range []CoursePoint{
		{0, 0, 0, "start, lowest"}, {499, 4.99, 0.4 * 499 / 500, "last of the warm-up"}, {500, 5, 0.4, "warm-up ends, highest"},
	} {
		got := c.find(want.What)
		if len(got) != 1 || got[0].Step != want.Step || got[0].Epoch != want.Epoch || math.Abs(got[0].LR-want.LR) > 1e-12 {
			t.Errorf("%q: %+v, want %+v", want.What, got, want)
		}
	}
	if last := c.Points[len(c.Points)-1]; last.Step != 1999 || last.What != "last step" || last.LR > 1e-5 {
		t.Errorf("the end: %+v", last)
	}
	if jumps := c.find("jump"); len(jumps) > 0 {
		t.Errorf("jumps of a continuous schedule: %+v", jumps)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() != 960 {
		t.Errorf("picture: %v", err)
	}

	c = course(t, "", "epochs=90", "schedule={name: multistep, lr: 0.1, milestones: [30, 60], warmup: none}")
	if jumps := c.find("jump ×0.1"); len(jumps) != 2 || jumps[0].Step != 3000 || jumps[1].Step != 6000 {
		t.Errorf("multistep: %+v", jumps)
	}
	c = course(t, "", "epochs=70", "schedule={name: restarts, lr: 0.1, first: 10, growth: 2, warmup: none}")
	if up := c.find("jump"); len(up) != 2 || up[0].Step != 1000 || up[1].Step != 3000 {
		t.Errorf("restarts: %+v", up)
	}
	if low := append(c.find("valley"), c.find("lowest")...); len(low) < 2 {
		t.Errorf("valleys: %+v", low)
	}
	c = course(t, "", "epochs=10", "schedule={name: constant, lr: 0.1, warmup: none}")
	if c.Highest != 0.1 || c.Lowest != 0.1 || len(c.find("jump")) > 0 {
		t.Errorf("constant: %+v", c)
	}
	c = course(t, "", "epochs=10", "schedule={name: plateau, lr: 0.1, warmup: none}")
	if !c.Reacts {
		t.Error("plateau does not react")
	}
	course(t, filepath.Join(t.TempDir(), "one.png"), "epochs=1", "schedule={name: constant, lr: 0.1, warmup: none}")
}

func TestScheduleErrors(t *testing.T) {
	for _, tt := range []struct {
		c    ScheduleConfig
		want string
	}{
		{ScheduleConfig{}, "no recipe given"},
		{ScheduleConfig{Recipe: recipe.Default(), StepsPerEpoch: -1}, "an epoch of -1 steps: give at least 1"},
		{ScheduleConfig{Recipe: changed(t, "epochs=1000000"), StepsPerEpoch: 10000}, "1000000 epochs of 10000 steps are more than the 2147483647 steps that can be drawn"},
		{ScheduleConfig{Recipe: changed(t, "schedule.name=step", "schedule.gamma=-1"), StepsPerEpoch: 10}, "schedule.gamma: must be above 0 and at most 1, got -1"},
		{ScheduleConfig{Recipe: changed(t, "schedule.warmup.steps=1000"), StepsPerEpoch: 100}, "schedule.warmup: takes 1000 steps but the run has only 1000; shorten it or train longer"},
	} {
		if _, err := Schedule(tt.c); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if _, err := Schedule(ScheduleConfig{Recipe: changed(t, "data.dir=/nowhere")}); err == nil || !strings.Contains(err.Error(), "cannot count the steps of an epoch") {
		t.Errorf("no data: %v", err)
	}
}

func TestEpochsApart(t *testing.T) {
	for epochs, want := range map[int]int{1: 1, 10: 1, 11: 2, 20: 2, 21: 5, 90: 10, 200: 20, 350: 50, 1000: 100} {
		if got := epochsApart(epochs); got != want {
			t.Errorf("%d epochs: every %d, want %d", epochs, got, want)
		}
	}
}
