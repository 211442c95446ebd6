package auth

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/soukhq/souk/internal/base/errs"
)

// watchers are the viewers whose subscriptions are open.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

type watcher struct {
	viewer Viewer
	end    context.CancelCauseFunc
}

// add watches until ctx is done.
func (w *watchers) add(ctx context.Context, one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[one] = struct{}{}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, one)
	})
}

func (w *watchers) list() []*watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.all))
}

func (w *watchers) end(which func(Viewer) bool) {
	for _, one := range w.list() {
		if which(one.viewer) {
			one.end(errs.ErrUnauthenticated)
		}
	}
}

// Watch gives a context that ends with the viewer's token: when it expires, and
// when it, its device or its user is revoked. The cause is then UNAUTHENTICATED.
// Cancel it when what it guards is over. UNAUTHENTICATED if the token has ended
// already, UNAVAILABLE if nobody can tell.
func (v *Verifier) Watch(ctx context.Context, viewer Viewer) (context.Context, context.CancelFunc, error) {
	left := viewer.ExpiresAt.Sub(v.now())
	if viewer.Kind == Anonymous || left <= 0 {
		return nil, nil, errs.ErrUnauthenticated
	}
	ctx, end := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, left, errs.ErrUnauthenticated)
	cancel := func() {
		stop()
		end(nil)
	}
	one := &watcher{viewer: viewer, end: end}
	ctx = context.WithValue(ctx, recheckKey{}, func() bool {
		if _, ended := v.confirm(ctx, one); !ended {
			return ctx.Err() != nil
		}
		<-ctx.Done() // whoever was the first to end it may be in the midst of it
		return true
	})
	v.watchers.add(ctx, one)
	// A revocation between the token's verification and now went unwatched.
	if err := v.still(ctx, viewer); err != nil {
		cancel()
		return nil, nil, v.answer(ctx, err)
	}
	return ctx, cancel, nil
}

// still tells whether a viewer that was verified before is in good standing.
func (v *Verifier) still(ctx context.Context, viewer Viewer) error {
	if viewer.Kind == Merchant {
		_, err := v.merchant(ctx, viewer.MerchantID)
		return err
	}
	_, err := v.ask(ctx, viewer)
	return err
}

// recheck asks about every watched viewer, and tells whether all questions were
// answered.
func (v *Verifier) recheck(ctx context.Context) (sure bool) {
	sure = true
	for _, one := range v.watchers.list() {
		if known, _ := v.confirm(ctx, one); !known {
			sure = false
		}
	}
	return sure
}

// confirm ends what a viewer has open if it is not in good standing any more. It
// tells whether that could be found out, and whether it is so.
func (v *Verifier) confirm(ctx context.Context, one *watcher) (known, ended bool) {
	err := v.still(ctx, one.viewer)
	if err == nil || isUnavailable(err) {
		return err == nil, false
	}
	one.end(errs.ErrUnauthenticated)
	return true, true
}

type recheckKey struct{}

// Recheck asks again about the viewer whose token a context of
// [Verifier.Watch] guards, and tells whether that context has ended: it does if
// the viewer is not in good standing. One that was made of it may end a moment later.
//
// Somebody who is removed loses what they follow and their tokens at once, and
// the signal of either may be the first: whoever tells a client why a stream
// ends calls this before, so that the token comes first.
func Recheck(ctx context.Context) (ended bool) {
	again, ok := ctx.Value(recheckKey{}).(func() bool)
	return ok && again()
}
