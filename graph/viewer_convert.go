package graph

import (
	"context"

	"github.com/soukhq/souk/internal/base/auth"
)

// caller is the viewer as the API shows it; nil for nobody.
func caller(ctx context.Context) *auth.Viewer {
	v := auth.FromContext(ctx)
	if v.Kind == auth.Anonymous {
		return nil
	}
	return &v
}
