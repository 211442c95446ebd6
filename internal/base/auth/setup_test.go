package auth

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/pubsub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	audience  = "souk"
	publicURL = "https://souk.example"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// testBundle is one Souk process, an issuer, a directory and merchants.
type testBundle struct {
	*Verifier
	clock     *clock.Fixed
	redis     *miniredis.Miniredis
	issuer    *fakeIssuer
	directory *fakeDirectory
	merchants *fakeMerchants
	user      id.ID
	device    id.ID
}

func setup(t testing.TB) *testBundle {
	t.Helper()
	tb := &testBundle{
		clock:     clock.NewFixed(start),
		redis:     miniredis.RunT(t),
		issuer:    newFakeIssuer(t, jose.EdDSA),
		user:      id.New(),
		device:    id.New(),
		merchants: &fakeMerchants{keys: map[id.ID]*jose.KeySet{}},
	}
	tb.directory = &fakeDirectory{
		accounts: map[string]Account{"alice": {UserID: tb.user, Mode: 3, Active: true}},
		devices:  map[id.ID]bool{tb.device: true},
		revoked:  map[string]bool{},
	}
	tb.Verifier = tb.process(t)
	return tb
}

// process starts another process of the same Souk.
func (tb *testBundle) process(t testing.TB) *Verifier {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rdb := redis.NewClient(&redis.Options{Addr: tb.redis.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	bus := pubsub.New(rdb, log)
	v, err := New(Config{
		Issuers:     []Issuer{{URL: tb.issuer.URL, Audience: audience}},
		Audience:    audience,
		PublicURL:   publicURL,
		Skew:        30 * time.Second,
		DefaultMode: 1,
	}, Deps{
		Directory: tb.directory, Merchants: tb.merchants, Get: HTTPGet(tb.issuer.Client()),
		Redis: rdb, Bus: bus, Clock: tb.clock, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.proofs.patience = 10 * time.Second // a busy machine is no outage
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { bus.Run(ctx) })
	wg.Go(func() { v.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); _ = rdb.Close() })
	until(t, "hears of others' revocations", func() bool { return v.changes.all.Load() > 0 })
	until(t, "has keys", func() bool { return v.issuers[tb.issuer.URL].current() != nil })
	return v
}

// token mints one of the issuer; extra changes or, with nil, removes claims.
func (tb *testBundle) token(t testing.TB, subject string, extra map[string]any) string {
	t.Helper()
	return tb.mint(t, MintInput{Subject: subject, Claims: extra})
}

func (tb *testBundle) mint(t testing.TB, in MintInput) string {
	t.Helper()
	in.Issuer, in.Audience, in.Now, in.Lifetime = tb.issuer.URL, audience, tb.clock.Now(mode.Live), time.Hour
	token, err := Mint(t.Context(), tb.issuer, in)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// merchant registers one and gives its id and key.
func (tb *testBundle) merchant(t testing.TB) (id.ID, *jose.Key) {
	t.Helper()
	merchantID, key := id.New(), newKey(t, jose.ES256)
	tb.merchants.set(merchantID, keySet(t, key.Public()))
	return merchantID, key
}

func (tb *testBundle) merchantToken(t testing.TB, merchantID id.ID, key *jose.Key, extra map[string]any) string {
	t.Helper()
	gid := id.Global(MerchantType, merchantID)
	token, err := Mint(t.Context(), oneKey{key}, MintInput{
		Issuer: gid, Audience: audience, Subject: gid, Now: tb.clock.Now(mode.Live), Lifetime: time.Minute, Claims: extra,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// request is what a client with these headers sends.
func request(token string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/graphql?x=1", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// verifyBearer is what most tests want.
func verifyBearer(v *Verifier, token string) (Viewer, error) {
	return v.VerifyRequest(context.Background(), request(token))
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	got := ""
	if e := errs.As(err); e != nil {
		got = e.Code
	} else if err != nil {
		got = err.Error()
	}
	if got != code {
		t.Errorf("%s: got %q, want %q", what, got, code)
	}
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func newKey(t testing.TB, alg jose.Algorithm) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keySet(t testing.TB, keys ...*jose.Key) *jose.KeySet {
	t.Helper()
	s, err := jose.NewKeySet(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// oneKey is a KeySource of one key.
type oneKey struct{ key *jose.Key }

func (k oneKey) SigningKey(context.Context) (*jose.Key, error) { return k.key, nil }
func (k oneKey) PublicJWKS(context.Context) (*jose.KeySet, error) {
	return jose.NewKeySet(k.key.Public())
}

// fakeIssuer is an issuer on the network.
type fakeIssuer struct {
	*httptest.Server
	down    atomic.Bool
	fetches atomic.Int64 // of the key set

	mu      sync.Mutex
	keys    []*jose.Key // the first signs
	claimed string      // to be another issuer
}

func newFakeIssuer(t testing.TB, alg jose.Algorithm) *fakeIssuer {
	i := &fakeIssuer{keys: []*jose.Key{newKey(t, alg)}}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *fakeIssuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.down.Load():
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == discoveryPath && i.claimed != "":
		_, _ = w.Write(Discovery(i.claimed))
	case r.URL.Path == discoveryPath:
		_, _ = w.Write(Discovery(i.URL))
	case r.URL.Path == JWKSPath:
		i.fetches.Add(1)
		set, err := jose.NewKeySet(i.keys...)
		if err != nil {
			panic(err)
		}
		b, err := set.MarshalJSON()
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(b)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (i *fakeIssuer) publish(keys ...*jose.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *fakeIssuer) SigningKey(context.Context) (*jose.Key, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0], nil
}

func (i *fakeIssuer) PublicJWKS(context.Context) (*jose.KeySet, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return jose.NewKeySet(i.keys...)
}

// fakeDirectory is core/user as this package sees it.
type fakeDirectory struct {
	mu       sync.Mutex
	accounts map[string]Account
	devices  map[id.ID]bool
	revoked  map[string]bool
	down     error
	asked    int
}

func (d *fakeDirectory) ResolveUser(_ context.Context, _ mode.Mode, _, subject string) (Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	a, ok := d.accounts[subject]
	if !ok && d.down == nil {
		return Account{}, errs.New(errs.NotFound, "USER_NOT_FOUND", "No such user.")
	}
	return a, d.down
}

func (d *fakeDirectory) DeviceActive(_ context.Context, _, deviceID id.ID) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.devices[deviceID], d.down
}

func (d *fakeDirectory) TokenRevoked(_ context.Context, jti string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revoked[jti], d.down
}

func (d *fakeDirectory) change(f func(*fakeDirectory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *fakeDirectory) block(subject string) {
	d.change(func(d *fakeDirectory) {
		a := d.accounts[subject]
		a.Active = false
		d.accounts[subject] = a
	})
}

// fakeMerchants is core/merchant as this package sees it.
type fakeMerchants struct {
	mu    sync.Mutex
	keys  map[id.ID]*jose.KeySet
	asked int
	// published are the keys that a merchant has at its URL, if others.
	published map[id.ID]*jose.KeySet
}

func (m *fakeMerchants) Keys(_ context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if set := m.keys[merchantID]; set != nil {
		return set, 7, nil
	}
	return nil, 0, errs.New(errs.NotFound, "MERCHANT_NOT_FOUND", "No such merchant.")
}

// FreshKeys gives what was published in the meantime.
func (m *fakeMerchants) FreshKeys(ctx context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error) {
	m.mu.Lock()
	if set := m.published[merchantID]; set != nil {
		m.keys[merchantID] = set
	}
	m.mu.Unlock()
	return m.Keys(ctx, merchantID)
}

func (m *fakeMerchants) publish(merchantID id.ID, keys *jose.KeySet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.published = map[id.ID]*jose.KeySet{merchantID: keys}
}

func (m *fakeMerchants) set(merchantID id.ID, keys *jose.KeySet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[merchantID] = keys
}
