package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/soukhq/souk/internal/base/errs"
)

// VerifyRequest tells who sends a request: the anonymous viewer when there is no
// or a blank Authorization header. UNAUTHENTICATED if there is one but nothing
// good in it, UNAVAILABLE if nobody can tell.
func (v *Verifier) VerifyRequest(ctx context.Context, r *http.Request) (Viewer, error) {
	auth := r.Header.Values("Authorization")
	if len(auth) == 0 || len(auth) == 1 && strings.TrimSpace(auth[0]) == "" {
		return Viewer{}, nil
	}
	if len(auth) > 1 {
		return Viewer{}, v.answer(ctx, reject("two Authorization headers"))
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(auth[0]), " ")
	bound := strings.EqualFold(scheme, "DPoP")
	if !bound && !strings.EqualFold(scheme, "Bearer") {
		return Viewer{}, v.answer(ctx, reject("unknown authentication scheme"))
	}
	s, viewer, err := v.verify(ctx, strings.TrimSpace(token))
	if err != nil {
		return Viewer{}, v.answer(ctx, err)
	}
	if bound != (s.boundTo != "") { // RFC 9449 §7.1 and §7.2
		return Viewer{}, v.answer(ctx, reject("bound token as a bearer token, or the other way round"))
	}
	if bound {
		proofs := r.Header.Values("DPoP")
		if len(proofs) != 1 { // §4.3 item 1
			return Viewer{}, v.answer(ctx, errProof)
		}
		if err := v.prove(ctx, s, proofs[0], r.Method, r.URL.EscapedPath()); err != nil {
			return Viewer{}, v.answer(ctx, err)
		}
	}
	return viewer, nil
}

// VerifyInit tells who opens a WebSocket whose connection_init carries a token,
// since browsers let nobody set its headers. The token may stand behind "Bearer "
// or "DPoP ". A bound token needs a proof for a GET of the socket's path. The
// anonymous viewer comes of a blank token; errors are those of VerifyRequest.
func (v *Verifier) VerifyInit(ctx context.Context, token, proof, path string) (Viewer, error) {
	token = strings.TrimSpace(token)
	if scheme, rest, ok := strings.Cut(token, " "); ok && (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP")) {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return Viewer{}, nil
	}
	s, viewer, err := v.verify(ctx, token)
	if err == nil && s.boundTo != "" {
		err = v.prove(ctx, s, proof, http.MethodGet, path)
	}
	if err != nil {
		return Viewer{}, v.answer(ctx, err)
	}
	return viewer, nil
}

// answer turns a reason into what the caller is told, which is no hint, and logs
// the reason, which holds no part of the token.
func (v *Verifier) answer(ctx context.Context, reason error) error {
	if isUnavailable(reason) {
		return reason
	}
	v.deps.Log.DebugContext(ctx, "auth: token refused", "reason", reason)
	if errors.Is(reason, errProof) {
		return errs.ErrUnauthenticated.Because(errProof)
	}
	return errs.ErrUnauthenticated
}

func isUnavailable(err error) bool { return errs.KindOf(err) == errs.Unavailable }

// Challenge is the WWW-Authenticate of the answer to a request that VerifyRequest
// refused: what is wrong in the terms of RFC 6750 §3 and RFC 9449 §7.1.
func Challenge(r *http.Request, err error) string {
	const algs = `, algs="RS256 ES256 EdDSA"`
	scheme, _, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	switch {
	case errors.Is(err, errProof):
		return `DPoP error="invalid_dpop_proof"` + algs
	case strings.EqualFold(scheme, "DPoP"):
		return `DPoP error="invalid_token"` + algs
	}
	return `Bearer error="invalid_token"`
}
