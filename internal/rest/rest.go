// Package rest is the HTTP edge for the servers of third parties: merchants
// today. They speak plain HTTP with the standards that their libraries know: keys
// as JWKS (RFC 7517), messages as JWS inside JWE, errors as problem details (RFC
// 9457).
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/buying/purchase"
)

// Purchases takes merchants' answers.
type Purchases interface {
	Confirm(ctx context.Context, token string) (purchase.Order, error)
}

// Keys are Souk's own, as others may see them.
type Keys interface {
	PublicJWKS(ctx context.Context) (*jose.KeySet, error)
}

// Config is what the edge is built from.
type Config struct {
	Log       *slog.Logger
	Keys      Keys
	Purchases Purchases
	// Gate limits how often messages may come; nil: as often as they like.
	Gate      func(*http.Request) error
	Discovery []byte // the embedded issuer's discovery document; none: not served
}

// maxMessage bounds what a merchant may send.
const maxMessage = 64 << 10

// Handler serves the edge.
func Handler(c Config) http.Handler {
	h := &handler{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", h.jwks)
	mux.HandleFunc("POST /merchant/confirmations", h.confirm)
	if c.Discovery != nil {
		mux.HandleFunc("GET /.well-known/openid-configuration", h.discovery)
	}
	return mux
}

type handler struct{ Config }

// jwks publishes Souk's keys. Merchants may keep them for five minutes: a new
// key is published longer than that before it is used.
func (h *handler) jwks(w http.ResponseWriter, r *http.Request) {
	set, err := h.Keys.PublicJWKS(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	body, err := json.Marshal(set)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(body)
}

func (h *handler) discovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(h.Discovery)
}

// confirm takes the answer of a merchant that said "later".
func (h *handler) confirm(w http.ResponseWriter, r *http.Request) {
	if h.Gate != nil {
		if err := h.Gate(r); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	if typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || typ != "application/jose" {
		h.fail(w, r, errMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		h.fail(w, r, errTooLarge.Because(err))
		return
	}
	o, err := h.Purchases.Confirm(r.Context(), string(body))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.answer(w, http.StatusOK, "application/json", map[string]string{"orderId": id.Global("Order", o.ID), "state": string(o.State)})
}

var (
	errMediaType = errs.New(errs.Invalid, "UNSUPPORTED_MEDIA_TYPE", "Send a compact JWE with content type application/jose.")
	errTooLarge  = errs.New(errs.Invalid, "TOO_LARGE", "The message is too large.")
	errAway      = errs.New(errs.Unavailable, "UNAVAILABLE", "The database is away. Send it again.")
)

// problem is an error as RFC 9457 §3 writes it; code is an extension member.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
}

// fail answers with what went wrong. Faults of our own are logged and not shown.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := errs.As(err)
	switch {
	case e == nil && store.IsGone(err):
		h.Log.Warn("rest: database away", "path", r.URL.Path, "err", err)
		e = errAway
	case e == nil || e.Kind == errs.Internal:
		h.Log.Error("rest: failed", "path", r.URL.Path, "err", err)
		e = errs.New(errs.Internal, "INTERNAL", "Something went wrong on our side. Try again.")
	default:
		h.Log.Info("rest: refused", "path", r.URL.Path, "err", err)
	}
	if e.RetryIn > 0 {
		w.Header().Set("Retry-After", retryAfter(e.RetryIn))
	}
	status := statusOf(e)
	h.answer(w, status, "application/problem+json", problem{Type: "about:blank", Title: e.Message, Status: status, Code: e.Code})
}

func statusOf(e *errs.Error) int {
	switch {
	case errors.Is(e, errMediaType):
		return http.StatusUnsupportedMediaType
	case errors.Is(e, errTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	switch e.Kind {
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.Failed:
		return http.StatusUnprocessableEntity
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.RateLimited:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (h *handler) answer(w http.ResponseWriter, status int, typ string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		h.Log.Error("rest: answer does not encode", "err", err)
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", typ)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
