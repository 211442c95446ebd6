package merchantsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

const (
	maxBody      = jose.MaxToken
	maxHang      = 5 * time.Minute
	seenMax      = 1 << 20 // messages remembered in each half
	webhookLife  = 7 * 24 * time.Hour
	shutdownTime = 5 * time.Second
)

// Server is a product server. It is safe for concurrent use.
type Server struct {
	cfg   Config
	keys  *Keys
	own   *jose.KeySet // to decrypt with
	wrong *jose.Key    // not the merchant's, under the name of the one that is
	jwks  []byte
	souk  *souk
	log   *Log
	book  *book
	plans *plans
	calls *calls

	messages *seen
	webhooks *seen

	mu       sync.Mutex // one change of settings at a time
	settings atomic.Pointer[settings]
	stop     chan struct{}
	halt     func() // closes stop
	close    func() error
}

// settings is what can change while the server runs.
type settings struct {
	merchantID string
	secrets    []*standardwebhooks.Webhook
	products   map[string]Product
}

// New makes a product server and reads back what it did before. It must be
// closed.
func New(c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := makeFolder(c.Data); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: c, souk: &souk{url: c.Souk, client: c.Client, pause: keysPause}, book: newBook(), plans: newPlans(c.Plan),
		messages: newSeen(messageLife+2*messageSkew, seenMax), webhooks: newSeen(webhookLife, seenMax), stop: make(chan struct{}),
	}
	if err := s.takeKeys(); err != nil {
		return nil, err
	}
	s.settings.Store(&settings{})
	if err := s.Configure(Settings{MerchantID: c.Merchant, WebhookSecrets: c.WebhookSecrets, Products: c.Products}); err != nil {
		return nil, err
	}
	var err error
	if s.log, err = OpenLog(c.LogPath(), s.replay); err != nil {
		return nil, err
	}
	s.calls = newCalls(s)
	s.halt = sync.OnceFunc(func() { close(s.stop) })
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

func (s *Server) takeKeys() (err error) {
	if s.keys = s.cfg.Keys; s.keys == nil {
		if s.keys, err = LoadKeys(s.cfg.Data); err != nil {
			return err
		}
	}
	if s.own, err = jose.NewKeySet(s.keys.Decrypt); err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	if s.wrong, err = jose.Generate(jose.EdDSA); err != nil {
		return fmt.Errorf("merchantsim: keys: %w", err)
	}
	s.wrong.ID = s.keys.Sign.ID
	s.jwks, err = s.keys.JWKS()
	return err
}

// replay takes in an entry of the log.
func (s *Server) replay(e Entry) {
	s.book.replay(e)
	switch {
	case e.MessageID == "":
	case e.Kind == Webhook && e.Verdict == Verified:
		s.webhooks.add(e.MessageID, e.At)
	case e.Kind != Webhook && e.Kind != Refused && time.Since(e.At) < messageLife+2*messageSkew:
		s.messages.add(e.MessageID, e.At)
	}
}

// Close ends what is under way: calls back that wait are not made any more. It
// may be called again.
func (s *Server) Close() error { return s.close() }

func (s *Server) shut() error {
	s.halt()
	s.calls.close()
	return s.log.Close()
}

// Keys gives the merchant's keys, for tests that sign what the merchant would
// not.
func (s *Server) Keys() *Keys { return s.keys }

// JWKS gives the public keys, as they are registered with Souk.
func (s *Server) JWKS() []byte { return s.jwks }

// Log gives the log, in which what happened can be looked up and waited for.
func (s *Server) Log() *Log { return s.log }

// Behave puts a plan in force. It replaces the one about the same.
func (s *Server) Behave(p Plan) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("merchantsim: %w", err)
	}
	s.plans.set(p)
	return nil
}

// Settings is what a server may be told while it runs. What is empty stays as it
// is.
type Settings struct {
	MerchantID     string    `json:"merchantId"`
	WebhookSecrets []string  `json:"webhookSecrets"`
	Products       []Product `json:"products"` // replaces those of the same SKU
}

// Configure changes settings.
func (s *Server) Configure(c Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.settings.Load()
	if c.MerchantID != "" {
		next.merchantID = c.MerchantID
	}
	if len(c.WebhookSecrets) > 0 {
		next.secrets = nil
	}
	for _, text := range c.WebhookSecrets {
		w, err := standardwebhooks.NewWebhook(text)
		if err != nil {
			return errors.New("merchantsim: a webhook secret cannot be read: it is whsec_ and base64")
		}
		next.secrets = append(next.secrets, w)
	}
	next.products = maps.Clone(next.products)
	for _, p := range c.Products {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("merchantsim: %w", err)
		}
		if next.products == nil {
			next.products = map[string]Product{}
		}
		next.products[p.SKU] = p
	}
	s.settings.Store(&next)
	return nil
}

// Card makes a product card for one of the products, good from now on.
func (s *Server) Card(sku, confirm string) (string, error) {
	set := s.settings.Load()
	p, known := set.products[sku]
	switch {
	case !known:
		return "", errors.New("merchantsim: no such product")
	case set.merchantID == "":
		return "", errNoMerchant
	case confirm != ConfirmByServer && confirm != ConfirmByCard:
		return "", fmt.Errorf("merchantsim: confirm must be %q or %q", ConfirmByServer, ConfirmByCard)
	}
	now := time.Now()
	c := Card{
		Issuer: set.merchantID, SKU: p.SKU, Name: p.Name, Price: p.Price,
		IssuedAt: now.Unix(), Expires: now.Add(s.cfg.CardLife).Unix(), Confirm: confirm,
	}
	return c.Sign(s.keys.Sign)
}

// APIToken makes a bearer token with which the merchant calls Souk's API for some
// minutes. The audience is the one that Souk is configured with.
func (s *Server) APIToken(audience string) (string, error) {
	merchantID := s.settings.Load().merchantID
	if merchantID == "" {
		return "", errNoMerchant
	}
	now := time.Now()
	payload, err := json.Marshal(apiToken{
		Issuer: merchantID, Subject: merchantID, Audience: audience, ID: id.New().String(),
		IssuedAt: now.Unix(), Expires: now.Add(answerLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	return jose.Sign(payload, s.keys.Sign, "JWT")
}

// errNoMerchant says that the merchant is not registered yet.
var errNoMerchant = errors.New("merchantsim: the merchant's id in Souk is not known yet")

// AnswerNow gives at once the answers that Later and LateYes hold back, and
// waits until Souk has taken or refused each.
func (s *Server) AnswerNow(ctx context.Context) error { return s.calls.hurry(ctx) }

// Handler serves everything.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+keysPath, s.serveKeys)
	mux.HandleFunc("GET /card", s.serveCard)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("POST /orders", s.takeOrder)
	mux.HandleFunc("POST /webhooks", s.takeWebhook)
	s.control(mux)
	return mux
}

// Serve answers on a listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	url := "http://" + l.Addr().String()
	s.cfg.Log.Info("merchant-sim: listening", "url", url, "souk", s.cfg.Souk, "behaviour", s.cfg.Plan.Behaviour)
	if s.cfg.Ready != nil {
		s.cfg.Ready(url)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("merchantsim: %w", err)
	case <-ctx.Done():
	}
	s.halt() // whoever hangs, as he was told to, need not any longer
	until, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if h.Shutdown(until) != nil {
		return h.Close()
	}
	return nil
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json") // RFC 7517 §8.5.2
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(s.jwks)
}

func (s *Server) serveCard(w http.ResponseWriter, r *http.Request) {
	confirm := r.FormValue("confirm")
	if confirm == "" {
		confirm = ConfirmByServer
	}
	token, err := s.Card(r.FormValue("sku"), confirm)
	if err != nil {
		fail(w, problem{http.StatusNotFound, "NO_CARD", err.Error()})
		return
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(token))
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"status": "ok", "registered": s.settings.Load().merchantID != ""})
}

// problem is why a request is refused (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error makes it an error.
func (p problem) Error() string { return p.Code + ": " + p.Detail }

func fail(w http.ResponseWriter, p problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(struct {
		Title string `json:"title"`
		problem
	}{http.StatusText(p.Status), p})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
