package graph

import (
	"context"

	"github.com/soukhq/souk/graph/scalar"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
)

// NodeLoader finds objects of one type, those that the viewer may see; others
// are left out. Each is the Go type that the GraphQL type binds to, or a
// pointer to it.
type NodeLoader func(ctx context.Context, ids []id.ID) (map[id.ID]scalar.Node, error)

// Nodes finds objects by their global ids: one loader for each type name.
type Nodes map[string]NodeLoader

// NodesOf makes a loader of a service's ByIDs.
func NodesOf[T any](byIDs func(context.Context, []id.ID) (map[id.ID]T, error)) NodeLoader {
	return func(ctx context.Context, ids []id.ID) (map[id.ID]scalar.Node, error) {
		found, err := byIDs(ctx, ids)
		if err != nil {
			return nil, err
		}
		nodes := make(map[id.ID]scalar.Node, len(found))
		for key, v := range found {
			nodes[key] = v
		}
		return nodes, nil
	}
}

var errTooManyNodes = errs.New(errs.Invalid, codeValidation, "Give at most 100 ids.", "ids")

// one finds one object; nil when there is none that the viewer may see.
func (n Nodes) one(ctx context.Context, global string) (scalar.Node, error) {
	list, err := n.many(ctx, []string{global})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// many finds objects in the order of their ids, each type in one go. An id that
// is malformed, of an unknown type, or of nobody's object gives nil: an answer
// must not tell these apart.
func (n Nodes) many(ctx context.Context, globals []string) ([]scalar.Node, error) {
	if len(globals) > page.Max {
		return nil, errTooManyNodes
	}
	type place struct {
		typ string
		id  id.ID
	}
	places := make([]place, len(globals))
	wanted := map[string][]id.ID{}
	seen := make(map[place]bool, len(globals))
	for i, global := range globals {
		typ, key, err := id.ParseGlobal(global)
		if err != nil {
			continue
		}
		at := place{typ, key}
		places[i] = at
		if !seen[at] {
			seen[at] = true
			wanted[typ] = append(wanted[typ], key)
		}
	}
	found := make(map[place]scalar.Node, len(globals))
	for typ, ids := range wanted {
		load := n[typ]
		if load == nil {
			continue
		}
		nodes, err := load(ctx, ids)
		if err != nil {
			return nil, err
		}
		for key, node := range nodes {
			found[place{typ, key}] = node
		}
	}
	list := make([]scalar.Node, len(globals))
	for i, at := range places {
		list[i] = found[at]
	}
	return list, nil
}
