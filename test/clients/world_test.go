package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/app"
	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/demo"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// world is what a client's tests are told: where Souk is, who may act there, and
// what the demo has left.
type world struct {
	URL          string            `json:"url"`
	Desk         string            `json:"desk"` // see desk
	Shop         string            `json:"shop"` // the merchant's product server
	Schema       string            `json:"schema"`
	Tokens       map[string]string `json:"tokens"` // of alice, bob and the chat app
	Conversation string            `json:"conversation"`
	Card         string            `json:"card"`
	Wallet       string            `json:"wallet"` // alice's
	Order        string            `json:"order"`
}

// budget is what alice has on top of the demo's money, in euro cents.
const budget = 500_000

// open starts Souk and a merchant's product server, and performs the demo.
func open(t *testing.T) world {
	t.Helper()
	s := &souk{t: t, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	s.cfg = config.Default(false)
	s.cfg.HTTP.Addr, s.cfg.Data.Dir = "127.0.0.1:0", t.TempDir()
	s.cfg.Outbound.AllowAddresses = []string{"127.0.0.1"} // where the product server is
	s.cfg.GraphQL.KeepAlive = time.Second
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	shop, shopURL := s.shop()

	client := driver.New(s.url())
	t.Cleanup(client.HTTP.CloseIdleConnections)
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	service := s.token(app.TokenRequest{Subject: "chat", Role: "service"})
	result, err := (&demo.Demo{
		Souk: client, Merchant: shop, MerchantURL: shopURL, Out: io.Discard, Service: service,
		Token: func(_ context.Context, name string) (string, error) {
			return s.token(app.TokenRequest{Subject: name}), nil
		},
	}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, client, result.Tokens["alice"])
	result.Tokens["chat"] = service
	desk := httptest.NewServer(s.desk())
	t.Cleanup(desk.Close)
	return world{
		URL: s.url(), Desk: desk.URL, Shop: shopURL, Schema: sdl(t), Tokens: result.Tokens,
		Conversation: result.Conversation, Card: result.Card, Wallet: result.Wallet, Order: result.Order,
	}
}

// fill tops up a wallet from the user's bank.
func fill(t *testing.T, client *driver.Client, token string) {
	t.Helper()
	sources, err := client.Sources(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if source.Kind != "BANK_ACCOUNT" {
			continue
		}
		if state, err := client.TopUp(t.Context(), token, "fill", source.ID, driver.Euro(budget)); err != nil || state != "SUCCEEDED" {
			t.Fatalf("the top-up is %s: %v", state, err)
		}
	}
}

// souk is a server that can be stopped and started again at the same address.
type souk struct {
	t   *testing.T
	log *slog.Logger
	cfg config.Config

	mu  sync.Mutex
	app *app.App
	end func() error // nil while it is stopped
}

func (s *souk) url() string { return s.cfg.HTTP.PublicURL }

// start opens Souk and serves.
func (s *souk) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	listener, cfg, err := app.Listen(context.Background(), s.cfg)
	if err != nil {
		return err
	}
	cfg.HTTP.Addr = listener.Addr().String()
	a, err := app.Open(context.Background(), cfg, s.log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, listener, nil) }()
	s.app, s.cfg = a, cfg
	s.end = func() error {
		cancel()
		defer a.Close()
		return <-served
	}
	return nil
}

// stop shuts Souk down as a signal does. Stopped, it stays so.
func (s *souk) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		return nil
	}
	end := s.end
	s.end = nil
	return end()
}

// shop starts the merchant's product server.
func (s *souk) shop() (shop *merchantsim.Server, url string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	shop, err = merchantsim.New(merchantsim.Config{Souk: s.url(), Data: filepath.Join(s.t.TempDir(), "merchant"), Log: s.log})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- shop.Serve(ctx, listener) }()
	s.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, shop.Close()); err != nil {
			s.t.Error(err)
		}
	})
	return shop, "http://" + listener.Addr().String()
}

// tokenLife is how long tokens are good for that are not asked for otherwise.
const tokenLife = time.Hour

func (s *souk) token(want app.TokenRequest) string {
	s.t.Helper()
	if want.Lifetime == 0 {
		want.Lifetime = tokenLife
	}
	token, err := s.app.Token(context.Background(), want)
	if err != nil {
		s.t.Error(err)
	}
	return token
}

// desk is where the tests in JavaScript ask for what no client of Souk can do.
func (s *souk) desk() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.serve(func(in order) (any, error) {
		return s.token(app.TokenRequest{Subject: in.Subject, Lifetime: time.Duration(in.Seconds) * time.Second}), nil
	}))
	mux.HandleFunc("POST /stop", s.serve(func(order) (any, error) { return nil, s.stop() }))
	mux.HandleFunc("POST /start", s.serve(func(in order) (any, error) {
		s.cfg.HTTP.CORSOrigins, s.cfg.HTTP.WSOrigins = in.Origins, in.Origins
		s.cfg.GraphQL.TrustedDocuments, s.cfg.GraphQL.TrustedOnly = in.Trusted, in.Trusted != ""
		return nil, s.start()
	}))
	return mux
}

// order is what a test asks the desk for.
type order struct {
	Subject string   `json:"subject"` // of a token
	Seconds int      `json:"seconds"` // that the token is good for
	Origins []string `json:"origins"` // whose pages may use Souk
	Trusted string   `json:"trusted"` // a file of the only documents that run
}

func (s *souk) serve(do func(order) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in order
		err := json.NewDecoder(r.Body).Decode(&in)
		var out any
		if err == nil {
			out, err = do(in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	}
}
