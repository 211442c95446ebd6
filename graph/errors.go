package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/store"
)

// The codes of top-level errors. A refusal of a read, such as a forged cursor,
// keeps the code that its service gave it.
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeForbidden       = "FORBIDDEN"
	codeValidation      = "VALIDATION_FAILED"
	codeNotPersisted    = "PERSISTED_QUERY_NOT_FOUND"
	codeCostLimit       = "COST_LIMIT"
	codeRateLimited     = "RATE_LIMITED"
	codeUnavailable     = "UNAVAILABLE"
	codeInternal        = "INTERNAL"
)

// fault is a top-level error that the edge itself finds.
func fault(code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
}

// presenter shows errors: an *errs.Error by its kind, code and message, and any
// other as INTERNAL with the request's id and no text of its own. What is not
// shown is logged, here and nowhere else.
type presenter struct{ log *slog.Logger }

// present is gqlgen's hook for every error of a resolver.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	shown := &gqlerror.Error{}
	if g, ok := errors.AsType[*gqlerror.Error](err); ok {
		if g.Extensions["code"] != nil {
			return g
		}
		shown.Path, shown.Locations = g.Path, g.Locations
	}
	switch e := errs.As(err); {
	case e != nil:
		p.fill(ctx, shown, e, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p.fill(ctx, shown, errTimeout, err)
	case store.IsGone(err):
		p.fill(ctx, shown, errAway, err)
	default:
		p.fill(ctx, shown, errInternal, err)
	}
	return shown
}

var (
	errInternal = errs.New(errs.Internal, codeInternal, "Something went wrong in Souk. Name the request's id when you report it.")
	errAway     = errs.New(errs.Unavailable, codeUnavailable, "The database is away, and whether this was done is not known. Send it again, with the same idempotency key if it has one.")
	errTimeout  = errs.New(errs.Unavailable, codeUnavailable, "Souk did not finish in time, so the outcome is not known: ask before you try again.")
)

// fill says in g what e allows, and logs cause where e hides it.
func (p presenter) fill(ctx context.Context, g *gqlerror.Error, e *errs.Error, cause error) {
	g.Message = e.Message
	g.Extensions = map[string]any{"code": e.Code}
	code := codeOf(e.Kind)
	if code != "" && code != e.Code {
		g.Extensions["code"], g.Extensions["reason"] = code, e.Code
	}
	if len(e.Field) > 0 {
		g.Extensions["field"] = e.Field
	}
	if e.RetryIn > 0 {
		g.Extensions["retryAfterMs"] = e.RetryIn.Milliseconds()
	}
	switch e.Kind {
	case errs.Internal:
		g.Message = errInternal.Message
		g.Extensions = map[string]any{"code": codeInternal, "requestId": RequestID(ctx)}
		p.log.LogAttrs(ctx, slog.LevelError, "a request failed", attributes(ctx, g, cause)...)
	case errs.Unavailable:
		g.Extensions["requestId"] = RequestID(ctx)
		if !errors.Is(cause, context.Canceled) {
			p.log.LogAttrs(ctx, slog.LevelWarn, "a request could not be served", attributes(ctx, g, cause)...)
		}
	}
}

// codeOf is the top-level code of a kind; refusals keep their own.
func codeOf(k errs.Kind) string {
	switch k {
	case errs.Internal:
		return codeInternal
	case errs.Unauthenticated:
		return codeUnauthenticated
	case errs.Forbidden:
		return codeForbidden
	case errs.RateLimited:
		return codeRateLimited
	case errs.Unavailable:
		return codeUnavailable
	}
	return ""
}

// attributes is what the log needs to find the request and the place.
func attributes(ctx context.Context, g *gqlerror.Error, cause error) []slog.Attr {
	list := []slog.Attr{
		slog.String("request", RequestID(ctx)),
		slog.String("error", cause.Error()),
	}
	if len(g.Path) > 0 {
		list = append(list, slog.String("path", g.Path.String()))
	}
	if graphql.HasOperationContext(ctx) {
		list = append(list, slog.String("operation", graphql.GetOperationContext(ctx).OperationName))
	}
	if crash, ok := errors.AsType[*panicError](cause); ok {
		list = append(list, slog.String("stack", string(crash.stack)))
	}
	return list
}

// panicError is a panic of a resolver, with where it happened.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

// recovered turns a panic into an error; presenting it shows INTERNAL and logs
// the stack.
func recovered(_ context.Context, value any) error {
	return &panicError{value: value, stack: debug.Stack()}
}

// refusal is a user error of any domain: the fields of its type, in the order
// that the schema gives them, so that one converts to the other.
type refusal[Code ~string] struct {
	Code         Code
	Message      string
	Field        []string
	Retry        errs.Retry
	RetryAfterMs *int
}

// errorCode is an enum of a domain's refusals, as gqlgen makes it.
type errorCode interface {
	~string
	IsValid() bool
}

// userErrors sorts what a service returned: expected refusals become the
// payload's userErrors, made by as from a refusal; any other error goes back to
// be a top-level one. Errors that were joined become one user error each.
//
//	list, err := userErrors(err, func(r refusal[model.OrderErrorCode]) model.OrderUserError {
//		return model.OrderUserError(r)
//	})
func userErrors[Code errorCode, E any](err error, as func(refusal[Code]) E) ([]E, error) {
	if err == nil {
		return nil, nil
	}
	var list []E
	for _, one := range split(err) {
		code := Code("")
		if e := errs.As(one); e != nil {
			code = Code(e.Code)
		}
		switch {
		case !errs.IsRefusal(one):
			return nil, err
		case !code.IsValid():
			return nil, fmt.Errorf("the schema has no %T %s: %w", code, code, errInternal.Because(one))
		}
		list = append(list, as(refuse(code, errs.As(one))))
	}
	return list, nil
}

// split takes joined errors apart.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func refuse[Code ~string](code Code, e *errs.Error) refusal[Code] {
	r := refusal[Code]{Code: code, Message: e.Message, Field: e.Field, Retry: e.Retry}
	if e.Retry == errs.RetryAfter {
		ms := int(e.RetryIn.Milliseconds())
		r.RetryAfterMs = &ms
	}
	return r
}
