package graph

import (
	"context"

	"github.com/soukhq/souk/graph/model"
)

// Resolver is the root of all resolvers: it holds the services that they call.
// No field may be named as a root field of the schema is, which would hide it.
type Resolver struct {
	// Registry finds objects by their global ids.
	Registry Nodes
	// Caller tells who is calling; nil for nobody.
	Caller func(ctx context.Context) *model.Viewer
}
