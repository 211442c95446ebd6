package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// SeededTag is the build tag of a souk that charges twice now and then. Only a
// build can have it: nothing switches it on at run time.
const SeededTag = "seeddoublecharge"

// Build builds souk from the sources around the working folder.
func Build(ctx context.Context, path string, tags ...string) (string, error) {
	args := []string{"build", "-o", path}
	for _, tag := range tags {
		args = append(args, "-tags", tag)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/soukhq/souk/cmd/souk")...) // #nosec G204 -- our own words
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")                                           // as the Makefile builds it
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build souk: %w\n%s", err, out)
	}
	return path, nil
}

// BuildSeeded builds the souk that the judge must not let pass.
func BuildSeeded(ctx context.Context, path string) (string, error) {
	return Build(ctx, path, SeededTag)
}
