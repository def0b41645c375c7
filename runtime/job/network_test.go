package job_test

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/tricks/network"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TestNetworkCards: every key that a card of tricks/network names exists, and
// every option of a model that is not about its shape has a card.
func TestNetworkCards(t *testing.T) {
	options := map[string]bool{}
	for _, name := range models.Names() {
		m, _ := models.Lookup(name)
		for _, o := range m.Options {
			options[o.Name] = true
		}
	}
	documented := map[string]bool{}
	for name, keys := range network.Documented {
		for _, key := range keys {
			if option, ok := strings.CutPrefix(key, "model.options."); ok {
				documented[option] = true
				if !options[option] {
					t.Errorf("card %s: no model has the option %s", name, option)
				}
				continue
			}
			value := map[string]string{"accumulate": "2", "loss": "bce", "focal.gamma": "1", "focal.alpha": "0.5", "precision": "mixed", "precision.type": "mixed", "precision.loss_scale": "128", "precision.growth_interval": "9", "optimizer.weight_decay": "0.1", "optimizer.decay_norm_and_bias": "true"}[key]
			if err := recipe.Default().Set(key + "=" + value); err != nil {
				t.Errorf("card %s: %v", name, err)
			}
		}
	}
	for _, shape := range []string{"shortcut", "preact", "stem", "variant", "block"} {
		documented[shape] = true
	}
	for option := range options {
		if !documented[option] {
			t.Errorf("model option %s has no card", option)
		}
	}
}
