package auth

import (
	"context"
	"errors"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

const (
	// How long an answer of the directory counts while revocations of other
	// processes arrive, and while they do not.
	trustFor      = 5 * time.Second
	trustForAlone = time.Second
)

// errKeyGone says that the key that verified a cached token no longer counts.
var errKeyGone = errors.New("auth: the key that verified the token is gone")

// standing is the directory's answer about a session.
type standing struct {
	viewer Viewer
	mark   uint64
	asked  time.Time
}

// stand tells whether a verified token still counts, and for whom.
func (v *Verifier) stand(ctx context.Context, s *session) (Viewer, error) {
	now := v.now()
	if !now.Before(s.viewer.ExpiresAt.Add(v.cfg.Skew)) {
		return Viewer{}, jose.ErrExpired
	}
	if s.issuer == nil {
		return v.standMerchant(ctx, s)
	}
	set := s.issuer.current()
	if set == nil || !s.verifiedBy(set) {
		return Viewer{}, errKeyGone
	}
	if st := s.standing.Load(); st != nil && v.counts(st.asked, now) && st.mark == v.changes.mark(st.viewer) {
		return st.viewer, nil
	}
	seen := v.changes.seen()
	viewer, err := v.ask(ctx, s.viewer)
	if err != nil {
		return Viewer{}, err
	}
	st := &standing{viewer: viewer, mark: v.changes.mark(viewer), asked: now}
	if v.changes.seen() == seen { // else the answer may be older than a revocation
		s.standing.Store(st)
	}
	return viewer, nil
}

// standMerchant holds a merchant's token against its keys of now.
func (v *Verifier) standMerchant(ctx context.Context, s *session) (Viewer, error) {
	a, err := v.merchant(ctx, s.viewer.MerchantID)
	if err != nil {
		return Viewer{}, err
	}
	if !s.verifiedBy(a.keys) {
		return Viewer{}, errKeyGone
	}
	viewer := s.viewer
	viewer.Mode = a.mode
	return viewer, nil
}

// counts tells whether an answer of then is young enough.
func (v *Verifier) counts(then, now time.Time) bool {
	if v.deps.Bus.Connected() {
		return now.Sub(then) < trustFor
	}
	return now.Sub(then) < trustForAlone
}

// ask asks the directory about a token's bearer.
func (v *Verifier) ask(ctx context.Context, viewer Viewer) (Viewer, error) {
	if viewer.TokenID != "" {
		revoked, err := v.deps.Directory.TokenRevoked(ctx, viewer.TokenID)
		if err != nil {
			return Viewer{}, unavailable(err)
		}
		if revoked {
			return Viewer{}, reject("token revoked")
		}
	}
	if viewer.Kind != User {
		return viewer, nil
	}
	a, err := v.deps.Directory.ResolveUser(ctx, viewer.Mode, viewer.Issuer, viewer.Subject)
	switch {
	case err != nil:
		return Viewer{}, unavailable(err)
	case !a.Active:
		return Viewer{}, reject("user blocked or removed")
	case viewer.IssuedAt.Before(a.TokensValidAfter):
		return Viewer{}, reject("token issued before the user's tokens were revoked")
	}
	viewer.UserID, viewer.Mode = a.UserID, a.Mode
	if viewer.DeviceID != id.Nil {
		active, err := v.deps.Directory.DeviceActive(ctx, a.UserID, viewer.DeviceID)
		if err != nil {
			return Viewer{}, unavailable(err)
		}
		if !active {
			return Viewer{}, reject("device revoked or not the user's")
		}
	}
	return viewer, nil
}

// merchantAnswer is the directory's answer about a merchant.
type merchantAnswer struct {
	keys  *jose.KeySet
	mode  mode.Mode
	mark  uint64
	asked time.Time
}

func (v *Verifier) merchant(ctx context.Context, merchantID id.ID) (*merchantAnswer, error) {
	now, who := v.now(), Viewer{MerchantID: merchantID}
	a, ok := v.merchants.Get(merchantID)
	if ok && v.counts(a.asked, now) && a.mark == v.changes.mark(who) {
		return a, nil
	}
	return v.readMerchant(ctx, merchantID, v.deps.Merchants.Keys)
}

func (v *Verifier) readMerchant(ctx context.Context, merchantID id.ID, read func(context.Context, id.ID) (*jose.KeySet, mode.Mode, error)) (*merchantAnswer, error) {
	seen := v.changes.seen()
	keys, m, err := read(ctx, merchantID)
	if err != nil {
		return nil, unavailable(err)
	}
	a := &merchantAnswer{keys: keys, mode: m, mark: v.changes.mark(Viewer{MerchantID: merchantID}), asked: v.now()}
	if v.changes.seen() == seen {
		v.merchants.Add(merchantID, a)
	}
	return a, nil
}
