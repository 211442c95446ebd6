package merchantsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

// fakeSouk is Souk's side of the protocol: its keys, the messages that it sends
// and the place where answers are brought to.
type fakeSouk struct {
	*httptest.Server
	merchantID string

	mu       sync.Mutex
	sign     *jose.Key
	decrypt  *jose.Key
	down     bool
	fetches  int
	callback func(token string) (status int, code string)
}

func newFakeSouk(t testing.TB) *fakeSouk {
	t.Helper()
	f := &fakeSouk{merchantID: id.Global("Merchant", id.New()), sign: generate(t, jose.EdDSA), decrypt: generate(t, jose.ECDHESA256KW)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+keysPath, f.serveKeys)
	mux.HandleFunc("POST "+callbackPath, f.takeCallback)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func generate(t testing.TB, alg jose.Algorithm) *jose.Key {
	t.Helper()
	k, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (f *fakeSouk) serveKeys(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetches++
	if f.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	set, err := jose.NewKeySet(f.sign.Public(), f.decrypt.Public())
	if err != nil {
		panic(err)
	}
	writeJSON(w, http.StatusOK, set)
}

func (f *fakeSouk) takeCallback(w http.ResponseWriter, r *http.Request) {
	token, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != ContentType {
		fail(w, problem{http.StatusBadRequest, "ANSWER_INVALID", "not JOSE"})
		return
	}
	f.mu.Lock()
	callback := f.callback
	f.mu.Unlock()
	status, code := callback(string(token))
	if code != "" {
		fail(w, problem{status, code, "refused"})
		return
	}
	w.WriteHeader(status)
}

// onCallback says what becomes of answers that are brought, and hands them out.
func (f *fakeSouk) onCallback(replies ...problem) <-chan string {
	got := make(chan string, 100)
	n := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.callback = func(token string) (int, string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		p := replies[min(n, len(replies)-1)]
		n++
		got <- token
		return p.Status, p.Code
	}
	return got
}

// order makes an order of so many.
func (f *fakeSouk) order(sku string, quantity int64) Message {
	now := time.Now()
	by := now.Add(10 * time.Minute).UTC().Truncate(time.Microsecond)
	return Message{
		Issuer: f.URL, Audience: f.merchantID, IssuedAt: now.Unix(), Expires: now.Add(5 * time.Minute).Unix(),
		ID: id.New().String(), Type: TypeConfirm, Buyer: "pairwise-1",
		Order: Order{
			ID: id.Global("Order", id.New()), SKU: sku, Name: "Blue mug", Quantity: quantity,
			UnitPrice: Money{1250, "EUR"}, Total: Money{1250 * quantity, "EUR"}, CreatedAt: now.UTC(), ConfirmBy: &by, Mode: "sandbox",
		},
	}
}

// again is the same order, asked for anew.
func again(m Message) Message {
	m.ID = id.New().String()
	return m
}

func release(m Message) Message {
	m.ID, m.Type = id.New().String(), TypeRelease
	return m
}

// seal makes a message's token, as Souk does.
func (f *fakeSouk) seal(t testing.TB, m Message, to *jose.Key) string {
	t.Helper()
	payload, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	token, err := jose.EncryptSigned(payload, f.sign, TypeOrder, to)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// read opens an answer as strictly as Souk does.
func (f *fakeSouk) read(token string, signing *jose.KeySet) (Answer, error) {
	own, err := jose.NewKeySet(f.decrypt)
	if err != nil {
		return Answer{}, err
	}
	verified, err := jose.DecryptVerify(token, jose.DecryptOptions{Keys: own}, jose.VerifyOptions{
		Keys: signing, Typ: TypeAnswer, Issuer: f.merchantID, Audience: f.URL,
		Now: time.Now(), Leeway: time.Minute, MaxLifetime: 6 * time.Minute,
	})
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	return a, verified.Decode(&a)
}

// answered is what came back for a message.
type answered struct {
	status int
	header http.Header
	body   string
}

func post(t testing.TB, url, contentType, body string) (answered, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return do(req)
}

func do(req *http.Request) (answered, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(got)}, err
}

// testBundle is a product server that talks with a fake Souk.
type testBundle struct {
	t    testing.TB
	souk *fakeSouk
	sim  *Server
	url  string
}

func setup(t testing.TB, change ...func(*Config)) *testBundle {
	t.Helper()
	b := &testBundle{t: t, souk: newFakeSouk(t)}
	b.souk.onCallback(problem{Status: http.StatusNoContent})
	c := Config{Souk: b.souk.URL, Data: t.TempDir(), Merchant: b.souk.merchantID, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	b.start(c)
	return b
}

func (b *testBundle) start(c Config) {
	b.t.Helper()
	sim, err := New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	b.sim, b.url = sim, server.URL
	b.t.Cleanup(func() {
		sim.halt()
		server.Close()
		if err := sim.Close(); err != nil {
			b.t.Error(err)
		}
	})
}

// restart ends the server and starts another one on what it left.
func (b *testBundle) restart() {
	b.t.Helper()
	if err := b.sim.Close(); err != nil {
		b.t.Fatal(err)
	}
	c := b.sim.cfg
	c.Keys = nil
	b.start(c)
}

func (b *testBundle) send(m Message) (answered, error) {
	b.t.Helper()
	return post(b.t, b.url+"/orders", ContentType, b.souk.seal(b.t, m, b.sim.keys.Decrypt.Public()))
}

func (b *testBundle) mustSend(m Message) answered {
	b.t.Helper()
	a, err := b.send(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// ask sends an order and reads the answer.
func (b *testBundle) ask(m Message) Answer {
	b.t.Helper()
	got := b.mustSend(m)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != ContentType {
		b.t.Fatalf("%d %s: %s", got.status, got.header.Get("Content-Type"), got.body)
	}
	return b.open(got.body)
}

func (b *testBundle) open(token string) Answer {
	b.t.Helper()
	a, err := b.souk.read(token, b.signing())
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *testBundle) signing() *jose.KeySet {
	b.t.Helper()
	set, err := jose.ParseKeySet(b.sim.JWKS())
	if err != nil {
		b.t.Fatal(err)
	}
	return set
}

func (b *testBundle) behave(p Plan) {
	b.t.Helper()
	if err := b.sim.Behave(p); err != nil {
		b.t.Fatal(err)
	}
}

// await waits for an entry of an order.
func (b *testBundle) await(kind Kind, orderID string) Entry {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e, err := b.sim.Log().Await(ctx, func(e Entry) bool { return e.Kind == kind && e.OrderID == orderID })
	if err != nil {
		b.t.Fatalf("no %s of %s: %v", kind, orderID, err)
	}
	return e
}

func (b *testBundle) answerNow() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.sim.AnswerNow(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// log reads what is on disk.
func (b *testBundle) log() []Entry {
	b.t.Helper()
	all, err := ReadLog(b.sim.cfg.LogPath())
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func kinds(log []Entry) string {
	var out []Kind
	for _, e := range log {
		out = append(out, e.Kind)
	}
	return fmt.Sprint(out)
}
