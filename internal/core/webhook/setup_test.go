package webhook_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const sandbox mode.Mode = 1

var eventTypes = []string{"order.paid", "order.declined", "order.refunded"}

// testBundle is an installation whose sandbox's clock the test moves, and the
// server of one merchant.
type testBundle struct {
	db       *store.DB
	clock    *clock.System
	ahead    time.Duration
	ring     *seal.Keyring
	service  *webhook.Service
	receiver *receiver
	viewer   auth.Viewer
}

func setup(t *testing.T, db *store.DB) *testBundle {
	t.Helper()
	ring, err := seal.New(t.Context(), seal.Config{Path: filepath.Join(t.TempDir(), "keyset.json"), Create: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{db: db, clock: &clock.System{}, ring: ring, receiver: newReceiver(t)}
	b.viewer = auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
	b.service = b.process(t, db, 0)
	return b
}

// process is another process of the same installation.
func (b *testBundle) process(t *testing.T, db *store.DB, retryFor time.Duration) *webhook.Service {
	t.Helper()
	web, err := outbound.New(outbound.Config{AllowAddresses: []string{"127.0.0.1"}, AllowHTTP: true, BreakerFailures: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(web.Close)
	s, err := webhook.New(webhook.Deps{DB: db, Clock: b.clock, Sealer: b.ring, Web: web},
		webhook.Config{EventTypes: eventTypes, RetryFor: retryFor, Random: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// advance moves the sandbox's clock.
func (b *testBundle) advance(d time.Duration) {
	b.ahead += d
	b.clock.SetOffset(sandbox, b.ahead)
}

// create makes an endpoint of the merchant at its server.
func (b *testBundle) create(t *testing.T, types ...string) (webhook.Endpoint, string) {
	t.Helper()
	e, secret, err := b.service.Create(t.Context(), b.viewer, b.receiver.url, types)
	if err != nil {
		t.Fatal(err)
	}
	return e, secret
}

func (b *testBundle) event(kind string) webhook.Event {
	return webhook.Event{
		OwnerID: b.viewer.MerchantID, Mode: sandbox, ID: id.New(), Type: kind,
		Data: json.RawMessage(`{"orderId":"o1"}`), At: b.clock.Now(sandbox),
	}
}

func (b *testBundle) dispatch(t *testing.T, e webhook.Event) {
	t.Helper()
	if n, err := b.service.Dispatch(t.Context(), e); err != nil || n != 1 {
		t.Fatalf("Dispatch = %d, %v", n, err)
	}
}

// deliver attempts all that is due, and tells how many that were.
func (b *testBundle) deliver(t *testing.T) int {
	t.Helper()
	due, err := b.service.Due(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		if err := b.service.Attempt(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	return len(due)
}

// only gives the one delivery of an endpoint.
func (b *testBundle) only(t *testing.T, e webhook.Endpoint) webhook.Delivery {
	t.Helper()
	all := b.list(t, e, webhook.Filter{})
	if len(all) != 1 {
		t.Fatalf("the endpoint has %d deliveries", len(all))
	}
	return all[0]
}

func (b *testBundle) list(t *testing.T, e webhook.Endpoint, f webhook.Filter) []webhook.Delivery {
	t.Helper()
	l, err := b.service.Deliveries(t.Context(), b.viewer, e.ID, f, page.Slice{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return l.Items
}

func (b *testBundle) endpoint(t *testing.T, endpointID id.ID) webhook.Endpoint {
	t.Helper()
	found, err := b.service.EndpointsByIDs(t.Context(), b.viewer, []id.ID{endpointID})
	if err != nil || len(found) != 1 {
		t.Fatalf("endpoint: %v", err)
	}
	return found[endpointID]
}

// receiver is a merchant's server.
type receiver struct {
	url string

	mu      sync.Mutex
	got     []message
	answers []http.HandlerFunc // one each, the last for ever; none: 204
}

// message is a request as it came.
type message struct {
	webhook.Received
	contentType string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(r)
	r.url = server.URL + "/hooks"
	t.Cleanup(server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.got = append(r.got, message{webhook.Received{
		ID: req.Header.Get(webhook.HeaderID), Timestamp: req.Header.Get(webhook.HeaderTimestamp),
		Signature: req.Header.Get(webhook.HeaderSignature), Payload: body,
	}, req.Header.Get("Content-Type")})
	answer := status(http.StatusNoContent)
	if len(r.answers) > 0 {
		answer = r.answers[0]
		r.answers = r.answers[min(1, len(r.answers)-1):]
	}
	r.mu.Unlock()
	answer(w, req)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *receiver) answer(with ...http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = with
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

func (r *receiver) last(t *testing.T) message {
	t.Helper()
	got := r.messages()
	if len(got) == 0 {
		t.Fatal("the receiver got nothing")
	}
	return got[len(got)-1]
}

// signedBy tells whether a message that just came is signed with a secret.
func (m message) signedBy(secret string) bool {
	return webhook.Verify([]string{secret}, m.Received, time.Now(), time.Minute) == nil
}

func (m message) signatures() int { return len(strings.Fields(m.Signature)) }

// wants fails the test unless err is the refusal; nil wants success.
func wants(t *testing.T, what string, err error, refusal *errs.Error) {
	t.Helper()
	if refusal == nil && err != nil || refusal != nil && !errors.Is(err, refusal) {
		t.Errorf("%s: got %v, want %v", what, err, refusal)
	}
}
