package job_test

import (
	"context"
	"fmt"
	"log"
	"path/filepath"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// Trains ResNet-8 on MNIST and classifies a picture with the result.
func Example() {
	ctx := context.Background()
	r := recipe.Default()
	for _, setting := range []string{"data.name=mnist", "model.name=resnet8", "epochs=3", "target.label_smoothing.epsilon=0.1"} {
		if err := r.Set(setting); err != nil {
			log.Fatal(err)
		}
	}
	result, err := job.Train(ctx, job.Config{Recipe: r, Out: "runs/digits"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("test accuracy %.2f %%\n", 100*result.Last.Top1)

	answers, err := job.Predict(ctx, job.PredictConfig{
		ONNX:   filepath.Join(result.Out, job.ModelFile),
		Images: []string{"seven.png"},
	})
	if err != nil {
		log.Fatal(err)
	}
	best := answers[0].Classes[0]
	fmt.Printf("%s: %s with probability %.3f\n", answers[0].File, best.Name, best.Probability)
}
