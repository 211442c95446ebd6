// Package graph is the GraphQL edge: it turns HTTP requests, event streams and
// WebSocket messages into operations, refuses what is too big, too costly or
// not allowed before any resolver runs, and shows errors as the API's
// conventions say.
//
// A request passes these, in this order:
//
//	http.go, sse.go, socket.go   a transport reads it (request.go, json.go)
//	persisted.go, trusted.go     its text is found, by hash or by id
//	document.go                  the text is parsed and validated, once per text
//	limits.go                    its size, depth and cost are measured
//	variables.go                 its variables are read as their types say
//	operation.go                 the rate gate is asked, then it runs
//	errors.go                    what went wrong is put into words
//	respond.go                   the answer is written
//
// scope.go holds what travels with an operation, streams.go counts what is live,
// node.go finds objects by global id, and loaders.go batches what lists ask for.
//
// A domain adds its SDL to schema/, the binding of its types to gqlgen.yml, its
// resolvers as <domain>.resolvers.go, its conversions as <domain>_convert.go,
// its services to Services, and its nodes to NewResolver. go generate ./graph
// writes what lies between.
package graph
