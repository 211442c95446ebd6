package merchantsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says whose product server this is. Its tags make it a command of kong.
type Config struct {
	Listen         string        `help:"Address to listen on, host:port; port 0 takes a free one." default:"127.0.0.1:8090" placeholder:"ADDRESS"`
	Data           string        `help:"Folder of its keys and its log; made if it is not there." default:"merchant-data" type:"path" placeholder:"FOLDER"`
	Souk           string        `help:"Souk's public URL, which is the issuer of its messages." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Merchant       string        `help:"The merchant's id in Souk. It may be told later, by POST /configure: the keys must be there before the merchant can be registered." placeholder:"ID"`
	WebhookSecrets []string      `name:"webhook-secret" help:"Secret of the webhooks (whsec_…). While one is exchanged for another, give both." env:"SOUK_MERCHANT_WEBHOOK_SECRET" placeholder:"SECRET"`
	Products       []Product     `name:"product" sep:"none" help:"What it sells, such as 'sku=mug;name=Blue mug;price=1250 EUR;stock=10', the price in minor units. Repeat it for more. Without any, every order is taken." placeholder:"PRODUCT"`
	CardLife       time.Duration `help:"How long a product card is good for." default:"24h" placeholder:"DURATION"`
	Plan           Plan          `embed:""`

	// Keys are the merchant's own; nil takes them from the data folder, and makes
	// them there the first time.
	Keys *Keys `kong:"-"`
	// Client reaches Souk; nil takes one with time limits.
	Client *http.Client `kong:"-"`
	// Log tells the operator what goes on; nil is the default logger.
	Log *slog.Logger `kong:"-"`
	// Ready, if any, hears the server's own URL once it listens.
	Ready func(url string) `kong:"-"`
}

// LogPath is where a server with these settings keeps its log.
func (c Config) LogPath() string { return filepath.Join(c.Data, "log.jsonl") }

func (c Config) withDefaults() Config {
	if c.CardLife == 0 {
		c.CardLife = 24 * time.Hour
	}
	if c.Client == nil {
		c.Client = newClient()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Plan.Behaviour == "" {
		c.Plan.Behaviour = OK
	}
	// An issuer is compared byte by byte (RFC 7519 §4.1.1), and Souk's has no
	// slash at its end.
	c.Souk = strings.TrimRight(c.Souk, "/")
	return c
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	u, err := url.Parse(c.Souk)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("merchantsim: %q is no URL of Souk", c.Souk)
	case c.Data == "":
		return errors.New("merchantsim: no data folder")
	case c.CardLife < 0:
		return errors.New("merchantsim: the life of a card is negative")
	}
	return c.Plan.Validate()
}

// Run serves until ctx ends.
func (c Config) Run(ctx context.Context) error {
	s, err := New(c)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("merchantsim: %w", err), s.Close())
	}
	return errors.Join(s.Serve(ctx, listener), s.Close())
}

// newClient reaches one host often, waits for nothing for long, and follows no
// redirects: Souk sends none, and whoever does is not Souk.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxCallbacks
	transport.Proxy = nil
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// makeFolder makes the folder of the keys, closed to others.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("merchantsim: %w", err)
	}
	return nil
}
