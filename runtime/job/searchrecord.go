package job

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/search"
)

// The files of a search in progress: the search's own settings and, beside each
// fold's run folder, the policies tried so far with their scores. The policies
// themselves are suggested anew from the scores.
const searchFile = "search.txt"

// checkFolder refuses to overwrite a policy, or to begin what has begun.
func (c SearchConfig) checkFolder() error {
	begun := exists(filepath.Join(c.folder(), searchFile))
	switch {
	case exists(c.Out):
		return fmt.Errorf("%s exists already; give another file with --out, or delete it", c.Out)
	case begun && !c.Resume:
		return fmt.Errorf("%s holds a search that is not finished; continue it with --resume, or delete the folder", c.folder())
	case !begun && c.Resume:
		return fmt.Errorf("cannot resume: there is no search at %s", c.folder())
	}
	return nil
}

// settings are the lines that a resumed search has to agree with.
func (s *searching) settings() (string, error) {
	hash, err := s.recipe.Hash()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("recipe %s\nimages %d\nfolds %d\ncandidates %d\nsub-policies %d\nsteps %d\ntop %d\ndraws %d\nheld-out images %d\nobjective %s\n",
		hash, s.data.Train.Len(), s.Folds, s.Candidates, s.SubPolicies, s.Steps, s.Top, s.Draws, s.Images, s.Objective), nil
}

// record notes the settings, or compares them.
func (s *searching) record() error {
	text, err := s.settings()
	if err != nil {
		return err
	}
	path := filepath.Join(s.folder(), searchFile)
	if s.Resume {
		had, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot resume: %w", err)
		}
		a, b := strings.Split(string(had), "\n"), strings.Split(text, "\n")
		for i, line := range b {
			if i < len(a) && a[i] == line {
				continue
			}
			name, _, _ := strings.Cut(line, " ")
			return fmt.Errorf("cannot resume: the %s differs from that of the search in %s; resume without changes, or start a new search", name, s.folder())
		}
		return nil
	}
	if err := os.MkdirAll(s.folder(), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of the search: %w", err)
	}
	return atomicfile.Write(path, []byte(text))
}

// trialLog is the record of the policies tried in a fold.
type trialLog struct {
	path string
	rows [][]string
}

var trialColumns = []string{"loss", "accuracy", "seconds", "policy"}

func openTrials(path string) (*trialLog, error) {
	l := &trialLog{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		r := csv.NewReader(bytes.NewReader(text))
		r.FieldsPerRecord = len(trialColumns)
		l.rows, err = r.ReadAll()
	}
	if err != nil || len(l.rows) == 0 {
		return nil, fmt.Errorf("cannot resume: %s: %w", path, err)
	}
	l.rows = l.rows[1:]
	return l, nil
}

// at returns trial i, if it is on record; it must be of the given policy.
func (l *trialLog) at(i int, p policy.Policy) (SearchTrial, bool, error) {
	if i >= len(l.rows) {
		return SearchTrial{}, false, nil
	}
	t := SearchTrial{Policy: p}
	for k, to := range []*float64{&t.Loss, &t.Accuracy, &t.Seconds} {
		var err error
		if *to, err = strconv.ParseFloat(l.rows[i][k], 64); err != nil {
			return t, false, fmt.Errorf("cannot resume: %s: row %d: %w", l.path, i+1, err)
		}
	}
	if l.rows[i][3] != spellPolicy(p) {
		return t, false, fmt.Errorf("cannot resume: %s: row %d is not the policy that this version tries there; delete the folder to start anew", l.path, i+1)
	}
	return t, true, nil
}

func (l *trialLog) add(t SearchTrial) error {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	l.rows = append(l.rows, []string{number(t.Loss), number(t.Accuracy), strconv.FormatFloat(t.Seconds, 'f', 3, 64), spellPolicy(t.Policy)})
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(append([][]string{trialColumns}, l.rows...)); err != nil {
		return err
	}
	return atomicfile.Write(l.path, b.Bytes())
}

// spellPolicy writes a policy in one line.
func spellPolicy(p policy.Policy) string {
	if p == nil {
		return "none"
	}
	var parts []string
	for _, sub := range p {
		parts = append(parts, search.Spell(sub))
	}
	return strings.Join(parts, "; ")
}

// trainingSeconds adds up the seconds of a run's epochs.
func trainingSeconds(run string) (float64, error) {
	rows, err := metrics.Read(filepath.Join(run, MetricsFile))
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, row := range rows {
		sum += row.Seconds
	}
	return sum, nil
}

// file is the policy file: its evidence as comments, and the sub-policies.
func (s *searching) file(res *SearchResult) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Found by ortrain %s with augment search on %d training images of %s: %d folds, %s,\n", artifact.Version, s.data.Train.Len(), s.data.Name, s.Folds, s.recipe.Model.Name)
	fmt.Fprintf(&b, "# %d epochs a child, %d policies of %d sub-policies tried in each fold, by %s over %d draws; %.0f s on %s.\n",
		s.recipe.Epochs, s.Candidates, s.SubPolicies, s.Objective, s.Draws, res.Seconds, runtime.CPUName())
	for i, f := range res.Folds {
		fmt.Fprintf(&b, "# fold %d: loss %.4f and accuracy %.2f %% without a policy, %.4f and %.2f %% with the best one\n",
			i+1, f.Plain.Loss, 100*f.Plain.Accuracy, f.Top[0].Loss, 100*f.Top[0].Accuracy)
	}
	b.WriteString("# Use it as augment: [{name: autoaugment, policy: THIS FILE}, …].\n")
	b.Write(res.Policy.Marshal())
	return b.Bytes()
}
