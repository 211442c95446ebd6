package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/soukhq/souk/internal/base/jose"
)

const (
	proofType   = "dpop+jwt"
	proofMaxAge = time.Minute
	// Proofs that this process remembers, for the time that Redis is away.
	proofsMax     = 1 << 16
	proofPatience = 50 * time.Millisecond
)

// errProof says that the token may be good but its bearer did not prove to own
// it.
var errProof = errors.New("auth: DPoP proof")

// prove checks the proof of possession that comes with a bound token (RFC 9449
// §4.3). The method and the address are those of the request.
func (v *Verifier) prove(ctx context.Context, s *session, proof, method, path string) error {
	if proof == "" || len(proof) > maxToken {
		return fmt.Errorf("%w: missing or too long", errProof)
	}
	t, err := jose.Verify(proof, jose.VerifyOptions{
		EmbeddedKey: true, Algorithms: algorithms, Typ: proofType,
		Now: v.now(), Leeway: v.cfg.Skew, MaxAge: proofMaxAge, NoExpiry: true,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errProof, err)
	}
	var p struct {
		Method string `json:"htm"`
		Target string `json:"htu"`
		Hash   string `json:"ath"`
	}
	if err := t.Decode(&p); err != nil {
		return fmt.Errorf("%w: %w", errProof, err)
	}
	switch {
	case t.Key.Thumbprint() != s.boundTo:
		return fmt.Errorf("%w: of another key", errProof)
	case p.Hash != base64.RawURLEncoding.EncodeToString(s.hash[:]):
		return fmt.Errorf("%w: for another token", errProof)
	case p.Method != method || !v.isTarget(p.Target, path):
		return fmt.Errorf("%w: for another request", errProof)
	case t.Claims.ID == "" || len(t.Claims.ID) > maxText:
		return fmt.Errorf("%w: jti missing or too long", errProof)
	case !v.proofs.first(ctx, s.boundTo, t.Claims.ID, proofMaxAge+2*v.cfg.Skew):
		return fmt.Errorf("%w: seen before", errProof)
	}
	return nil
}

// isTarget tells whether "htu" is the path under the public URL; query and
// fragment do not count (RFC 9449 §4.3 item 9).
func (v *Verifier) isTarget(htu, path string) bool {
	got, err := target(htu)
	if err != nil {
		return false
	}
	want := strings.TrimSuffix(v.public.EscapedPath(), "/") + path
	return got.Scheme == v.public.Scheme && got.Host == v.public.Host && got.EscapedPath() == want
}

// target reads an HTTP address and brings it into the form of RFC 3986 §6.2.3. A
// WebSocket's address is that of the request that opens it.
func target(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if plain, ok := map[string]string{"ws": "http", "wss": "https"}[u.Scheme]; ok {
		u.Scheme = plain
	}
	port, known := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	if !known || u.Host == "" || u.User != nil {
		return nil, errors.New("auth: not an HTTP address")
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), port)
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// proofs remembers which proofs were used: in Redis for all processes, and here,
// which is all there is while Redis is away. A proof can then be used once in
// each process, within its two minutes and with a stolen token.
type proofs struct {
	rdb     redis.UniversalClient
	breaker *gobreaker.CircuitBreaker[bool]
	mu      sync.Mutex
	here    *lru.Cache[[32]byte, time.Time] // until when

	patience time.Duration // the constant, but in tests
}

func newProofs(rdb redis.UniversalClient) (*proofs, error) {
	here, err := lru.New[[32]byte, time.Time](proofsMax)
	return &proofs{rdb: rdb, here: here, patience: proofPatience, breaker: gobreaker.NewCircuitBreaker[bool](gobreaker.Settings{
		Name: "dpop", MaxRequests: 1, Timeout: time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
	})}, err
}

// first tells whether the key's proof was not seen before, and remembers it.
func (p *proofs) first(ctx context.Context, key, jti string, keep time.Duration) bool {
	name := sha256.Sum256([]byte(key + "." + jti)) // the thumbprint has no dot
	if !p.firstHere(name, keep) {
		return false
	}
	first, err := p.breaker.Execute(func() (bool, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.patience)
		defer cancel()
		return p.rdb.SetNX(ctx, "souk:dpop:"+base64.RawURLEncoding.EncodeToString(name[:]), 1, keep).Result()
	})
	return first || err != nil
}

func (p *proofs) firstHere(name [32]byte, keep time.Duration) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if until, ok := p.here.Get(name); ok && now.Before(until) {
		return false
	}
	p.here.Add(name, now.Add(keep))
	return true
}
