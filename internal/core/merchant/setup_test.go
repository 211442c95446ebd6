package merchant_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const sandbox mode.Mode = 1

var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	operator = auth.Viewer{Kind: auth.Operator, Mode: sandbox, Subject: "ops"}
	tenEuro  = money.Amount{Minor: 1000, Currency: money.EUR}
)

// testBundle is an installation with one merchant's key server.
type testBundle struct {
	db      *store.DB
	clock   *clock.Fixed
	service *merchant.Service
	server  *keyServer
}

func setup(t testing.TB, db *store.DB) *testBundle {
	t.Helper()
	b := &testBundle{db: db, clock: clock.NewFixed(noon), server: newKeyServer(t)}
	b.service = b.process(t, db, nil)
	return b
}

// process is another process of the same installation.
func (b *testBundle) process(t testing.TB, db *store.DB, revoked func(context.Context, auth.Revocation)) *merchant.Service {
	t.Helper()
	web, err := outbound.New(outbound.Config{AllowAddresses: []string{"127.0.0.1"}, AllowHTTP: true, BreakerFailures: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s, err := merchant.New(merchant.Deps{
		DB: db, Clock: b.clock, Accounts: ledger.New(db, b.clock), Web: web,
		Pseudonyms: []byte("thirty-two bytes that are secret"), Revoked: revoked,
	}, merchant.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return s
}

// keyServer publishes a key set that the test may change.
type keyServer struct {
	url string

	mu      sync.Mutex
	keys    []*jose.Key
	status  int
	raw     []byte
	fetched int
	gate    chan struct{} // answers wait for it, if there is one
}

func newKeyServer(t testing.TB) *keyServer {
	t.Helper()
	s := &keyServer{status: http.StatusOK}
	server := httptest.NewServer(s)
	s.url = server.URL + "/jwks.json"
	t.Cleanup(server.Close)
	return s
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.fetched++
	keys, status, raw, gate := s.keys, s.status, s.raw, s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	w.WriteHeader(status)
	if raw == nil {
		raw = jwks(keys...)
	}
	_, _ = w.Write(raw)
}

func (s *keyServer) publish(keys ...*jose.Key) {
	s.set(func() { s.keys, s.status, s.raw = keys, http.StatusOK, nil })
}

func (s *keyServer) fail() { s.set(func() { s.status = http.StatusBadGateway }) }

func (s *keyServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *keyServer) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

func jwks(keys ...*jose.Key) []byte {
	set := struct {
		Keys []*jose.Key `json:"keys"`
	}{Keys: []*jose.Key{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return b
}

func newKey(t testing.TB, alg jose.Algorithm) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// seller is a registered merchant with its private keys.
type seller struct {
	merchant.Merchant
	viewer  auth.Viewer
	signing *jose.Key
	opening *jose.Key
}

// sell registers a merchant whose keys are given by value, or published if url is
// not empty.
func (b *testBundle) sell(t testing.TB, url string) *seller {
	t.Helper()
	s := &seller{signing: newKey(t, jose.EdDSA), opening: newKey(t, jose.ECDHESA256KW)}
	r := merchant.Registration{Name: "Baker", EndpointURL: "https://baker.example/orders"}
	if url == "" {
		r.JWKS = string(jwks(s.signing, s.opening))
	} else {
		b.server.publish(s.signing, s.opening)
		r.JWKSURL = url
	}
	var err error
	if s.Merchant, err = b.service.Register(t.Context(), operator, r); err != nil {
		t.Fatal(err)
	}
	s.viewer = viewerOf(s.Merchant)
	return s
}

func viewerOf(m merchant.Merchant) auth.Viewer {
	return auth.Viewer{Kind: auth.Merchant, MerchantID: m.ID, Mode: m.Mode, Subject: id.Global("Merchant", m.ID)}
}

// offer puts a product on sale.
func (b *testBundle) offer(t testing.TB, s *seller, sku string, price money.Amount) merchant.Product {
	t.Helper()
	p, err := b.service.Put(t.Context(), s.viewer, merchant.Offer{SKU: sku, Name: "Bread", Price: price})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type claims map[string]any

// card makes a product card; changes replace its claims, nil takes one away.
func (s *seller) card(t testing.TB, p merchant.Product, changes claims) string {
	t.Helper()
	return signCard(t, s.signing, s.claims(p, changes))
}

func (s *seller) claims(p merchant.Product, changes claims) claims {
	c := claims{
		"iss": id.Global("Merchant", s.ID), "sku": p.SKU, "name": p.Name, "iat": noon.Unix(), "exp": noon.Add(240 * time.Hour).Unix(),
		"price": claims{"amountMinor": p.Price.Minor, "currency": p.Price.Currency.String()}, "confirm": "server",
	}
	for k, v := range changes {
		c[k] = v
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func signCard(t testing.TB, key *jose.Key, c claims) string {
	t.Helper()
	return signAs(t, key, c, merchant.CardType)
}

func signAs(t testing.TB, key *jose.Key, c claims, typ string) string {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Sign(payload, key, typ)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify verifies a card in the sandbox and gives what was refused.
func verify(t testing.TB, s *merchant.Service, token string) error {
	t.Helper()
	_, _, _, err := s.VerifyCard(t.Context(), sandbox, token)
	return err
}

// wants fails the test unless err is the refusal; nil wants success.
func wants(t testing.TB, what string, err error, refusal *errs.Error) {
	t.Helper()
	if refusal == nil {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if got := errs.As(err); !errors.Is(err, refusal) {
		t.Errorf("%s: got %v, want %s", what, got, refusal.Code)
	}
}

var errUnavailable = errs.New(errs.Unavailable, "UNAVAILABLE", "")

// count gives the one number that a query gives.
func count(t testing.TB, db *store.DB, query string, args ...any) (n int) {
	t.Helper()
	rows, err := db.SQL(t.Context()).QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}
