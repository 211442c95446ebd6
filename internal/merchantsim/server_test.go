package merchantsim

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/soukhq/souk/internal/base/jose"
)

func get(t *testing.T, url string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := do(req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServer_Card(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Products = []Product{{SKU: "mug", Name: "Blue mug", Price: Money{1250, "EUR"}}} })
	for query, confirm := range map[string]string{"": "server", "&confirm=server": "server", "&confirm=card": "card"} {
		got := get(t, b.url+"/card?sku=mug"+query)
		if got.status != 200 || got.header.Get("Content-Type") != ContentType {
			t.Fatal(got)
		}
		token, err := jose.Verify(got.body, jose.VerifyOptions{
			Keys: b.signing(), Typ: TypeCard, Issuer: b.souk.merchantID, Now: time.Now(), MaxLifetime: 25 * time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		var c Card
		if err := token.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.SKU != "mug" || c.Name != "Blue mug" || c.Price != (Money{1250, "EUR"}) || c.Confirm != confirm || c.IssuedAt == 0 {
			t.Errorf("%+v", c)
		}
	}
	for _, query := range []string{"", "?sku=cup", "?sku=mug&confirm=perhaps"} {
		if got := get(t, b.url+"/card"+query); got.status != 404 {
			t.Error(query, got)
		}
	}
}

func TestServer_APIToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token, err := b.sim.APIToken("souk")
	if err != nil {
		t.Fatal(err)
	}
	checkAPIToken(t, token, b.signing(), b.souk.merchantID)

	var given struct{ Token string }
	got, err := post(t, b.url+"/token", "application/json", `{}`)
	if err != nil || json.Unmarshal([]byte(got.body), &given) != nil {
		t.Fatal(got, err)
	}
	checkAPIToken(t, given.Token, b.signing(), b.souk.merchantID)
	unregistered := setup(t, func(c *Config) { c.Merchant = "" })
	if got, err := post(t, unregistered.url+"/token", "application/json", `{}`); err != nil || got.status != 409 {
		t.Error(got, err)
	}
}

// checkAPIToken holds a token against what Souk's API asks of a merchant's.
func checkAPIToken(t *testing.T, token string, signing *jose.KeySet, merchantID string) {
	t.Helper()
	got, err := jose.Verify(token, jose.VerifyOptions{Keys: signing, Typ: "JWT", Issuer: merchantID, Audience: "souk", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Claims
	if c.Subject != merchantID || c.ID == "" || c.ExpiresAt.Sub(c.IssuedAt) > 5*time.Minute {
		t.Errorf("%+v", c)
	}
}

func TestMoney_UnmarshalJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		`{"amountMinor":9007199254740993,"currency":"EUR"}`: 9007199254740993, `{"amountMinor":"12","currency":"EUR"}`: 12,
	} {
		var m Money
		if err := json.Unmarshal([]byte(text), &m); err != nil || m != (Money{want, "EUR"}) {
			t.Error(m, err)
		}
	}
	for _, text := range []string{`{}`, `[]`, `{"amountMinor":1.5}`, `{"amountMinor":1e3}`, `{"amountMinor":"9223372036854775808"}`, `{"amountMinor":"\""}`, `{"amountMinor":null}`} {
		if json.Unmarshal([]byte(text), new(Money)) == nil {
			t.Error(text)
		}
	}
}

func TestServer_Keys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := get(t, b.url+keysPath)
	set, err := jose.ParseKeySet([]byte(got.body)) // refuses private keys
	if err != nil || set.Len() != 2 {
		t.Fatal(err)
	}
	for use, key := range map[string]*jose.Key{jose.UseSignature: set.Keys()[0], jose.UseEncryption: set.Keys()[1]} {
		if key.Use != use || key.ID == "" {
			t.Errorf("%+v", key)
		}
	}
	if strings.Contains(got.body, `"d"`) {
		t.Error("private")
	}
}

func TestLoadKeys(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a", "b")
	var (
		wg  sync.WaitGroup
		all [8]*Keys
	)
	for i := range all { // several processes start at once
		wg.Go(func() {
			var err error
			if all[i], err = LoadKeys(folder); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range all {
		if k.Sign.ID != all[0].Sign.ID || k.Decrypt.ID != all[0].Decrypt.ID || !k.Sign.IsPrivate() {
			t.Error("several keys")
		}
	}
	path := filepath.Join(folder, "keys.json")
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Error(files, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(folder); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(folder); err == nil {
		t.Error("took an empty file for keys")
	}
}

func TestServer_Control(t *testing.T) {
	t.Parallel()
	b := setup(t)
	send := func(path, contentType, body string, status int) {
		t.Helper()
		got, err := post(t, b.url+path, contentType, body)
		if err != nil || got.status != status {
			t.Error(path, body, got, err)
		}
	}
	send("/behave", "application/json", `{"behaviour":"decline","sku":"mug","count":1}`, 204)
	if a := b.ask(b.souk.order("mug", 1)); a.Decision != Declined {
		t.Error(a)
	}
	send("/behave", "application/json", `{"behaviour":"rude"}`, 400)
	send("/behave", "application/json", `{"behaviour":"ok","colour":"red"}`, 400)
	send("/behave", "text/plain", `{"behaviour":"ok"}`, 415) // as a web page can send it unasked
	send("/configure", "application/json", `{"products":[{"sku":"cup","name":"Cup","price":{"amountMinor":300,"currency":"EUR"}}]}`, 204)
	send("/configure", "application/json", `{"products":[{"sku":"cup","price":{"amountMinor":300,"currency":"XXX"}}]}`, 400)
	if got := get(t, b.url+"/card?sku=cup"); got.status != 200 {
		t.Error(got)
	}
	send("/answer", "application/json", `{}`, 204)
	if got := get(t, b.url+"/behave"); !strings.Contains(got.body, `"late-yes"`) || !strings.Contains(got.body, `"plans":[{`) {
		t.Error(got)
	}

	var shown struct {
		Counts  map[Kind]int64
		Entries []Entry
	}
	if err := json.Unmarshal([]byte(get(t, b.url+"/log?limit=1").body), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Entries) != 1 || shown.Entries[0].Kind != Answered || shown.Counts[Asked] != 1 {
		t.Errorf("%+v", shown)
	}
	if err := json.Unmarshal([]byte(get(t, b.url+"/log?orderId=none").body), &shown); err != nil || len(shown.Entries) != 0 {
		t.Error(shown, err)
	}
	if got := get(t, b.url+"/healthz"); got.status != 200 || !strings.Contains(got.body, `"registered":true`) {
		t.Error(got)
	}
}

func TestServer_Control_OwnerOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.sim.Handler()
	for name, change := range map[string]func(*http.Request){
		"another machine": func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" },
		"a proxy":         func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"a web page":      func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") },
	} {
		for _, path := range []string{"GET /log", "GET /behave", "POST /behave", "POST /configure", "POST /answer", "POST /token"} {
			method, path, _ := strings.Cut(path, " ")
			r := httptest.NewRequest(method, path, strings.NewReader(`{"behaviour":"ok"}`))
			r.RemoteAddr = "127.0.0.1:5000"
			r.Header.Set("Content-Type", "application/json")
			change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Error(name, method, path, w.Code)
			}
		}
	}
}

func TestProduct_UnmarshalText(t *testing.T) {
	t.Parallel()
	var p Product
	if err := p.UnmarshalText([]byte("sku=mug; name=Blue mug, large; price=1250 EUR; stock=10")); err != nil {
		t.Fatal(err)
	}
	if p.SKU != "mug" || p.Name != "Blue mug, large" || p.Price != (Money{1250, "EUR"}) || *p.Stock != 10 {
		t.Errorf("%+v", p)
	}
	for _, text := range []string{
		"", "sku=mug", "sku=mug;price=12.50 EUR", "sku=mug;price=1250", "sku=mug;price=1250 EURO", "sku=mug;price=0 EUR", "price=1 EUR",
		"sku=mug;price=1 EUR;stock=-1", "sku=mug;price=1 EUR;stock=many", "sku=mug;price=1 EUR;colour=blue",
	} {
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is no product", text)
		}
	}
}

// TestConfig_Run runs it as the command does.
func TestConfig_Run(t *testing.T) {
	t.Parallel()
	souk := newFakeSouk(t)
	var cli struct {
		Sim Config `cmd:"" name:"merchant-sim" help:"Run a product server to buy from."`
	}
	cli.Sim.Log = slog.New(slog.DiscardHandler)
	parser, err := kong.New(&cli, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) { panic("help") }))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse([]string{
		"merchant-sim", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--souk", souk.URL + "/", "--merchant", souk.merchantID,
		"--product", "sku=mug;name=Blue mug, large;price=1250 EUR", "--product", "sku=cup;price=300 EUR;stock=1",
		"--webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", "--behaviour", "slow", "--delay-ms", "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cli.Sim.Products) != 2 || len(cli.Sim.WebhookSecrets) != 2 || cli.Sim.Plan.Behaviour != Slow {
		t.Fatalf("%+v", cli.Sim)
	}
	ready := make(chan string, 1)
	cli.Sim.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	command.BindTo(ctx, (*context.Context)(nil))
	go func() { ended <- command.Run() }()
	var url string
	select {
	case url = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	if got := get(t, url+"/card?sku=mug"); got.status != 200 {
		t.Error(got)
	}
	keys, err := LoadKeys(cli.Sim.Data)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := post(t, url+"/orders", ContentType, souk.seal(t, souk.order("mug", 1), keys.Decrypt.Public())); err != nil || got.status != 200 {
		t.Error(got, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := parser.Parse([]string{"merchant-sim", "--behaviour", "rude"}); err == nil {
		t.Error("there is no such behaviour")
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := Config{Souk: "https://souk.example", Data: "d", Plan: Plan{Behaviour: OK}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Souk = "souk.example" }, func(c *Config) { c.Souk = "ftp://souk.example" }, func(c *Config) { c.Data = "" },
		func(c *Config) { c.CardLife = -1 }, func(c *Config) { c.Plan.Behaviour = "rude" },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%+v", c)
		}
	}
}
