package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// product is what a merchant sells, and how its product server treats orders of
// it.
type product struct {
	sku   string
	price int64 // cents
	plan  merchantsim.Plan
	stock int64 // 0: not counted
}

// limitedStock is how many there are of the product that runs out.
const limitedStock = 150

// shops are the merchants: one that does everything right, and one that does not.
var shops = []struct {
	name     string
	products []product
	webhooks merchantsim.Plan
}{
	{
		name: "steady",
		products: []product{
			{sku: "mug", price: 1250, plan: merchantsim.Plan{Behaviour: merchantsim.OK}},
			{sku: "book", price: 1999, plan: merchantsim.Plan{Behaviour: merchantsim.Later, DelayMs: 400}},
			{sku: "print", price: 4500, plan: merchantsim.Plan{Behaviour: merchantsim.OK}, stock: limitedStock},
		},
		webhooks: merchantsim.Plan{Behaviour: merchantsim.OK},
	},
	{
		name: "moody",
		products: []product{
			{sku: "tea", price: 700, plan: merchantsim.Plan{Behaviour: merchantsim.Slow, DelayMs: 2500}},
			{sku: "cake", price: 380, plan: merchantsim.Plan{Behaviour: merchantsim.Flaky}},
			{sku: "jam", price: 555, plan: merchantsim.Plan{Behaviour: merchantsim.Double, DelayMs: 200}},
			{sku: "hat", price: 2100, plan: merchantsim.Plan{Behaviour: merchantsim.Decline}},
			{sku: "lamp", price: 3300, plan: merchantsim.Plan{Behaviour: merchantsim.LateYes, DelayMs: 500}},
		},
		webhooks: merchantsim.Plan{Behaviour: merchantsim.Flaky, Fails: 1, Of: 5},
	},
}

// offer is a product card that is passed around.
type offer struct {
	product
	shop   *shop
	card   string
	byCard bool // the card is the merchant's confirmation
}

// shop is a merchant in Souk and its product server.
type shop struct {
	name   string
	id     string // in Souk
	url    string // of the product server
	folder string
	sign   *jose.Key
	server *process
}

// user is a buyer.
type user struct {
	name         string
	token        string
	wallet, bank string // funding sources
	conversation string
}

// world is who takes part.
type world struct {
	service string // token of the chat app's server
	shops   []*shop
	offers  map[string]offer // by SKU; "/card" follows where the card confirms
	users   []*user
}

// firstTopUp is what a wallet holds when the drill begins, in cents: more than
// anybody can spend, so that a refusal for want of money is a fault of Souk's.
const firstTopUp = 100_000_000

// populate makes everything through the public API.
func (d *drill) populate(ctx context.Context) (err error) {
	d.world = &world{offers: map[string]offer{}, shops: d.shops}
	if d.world.service, err = d.issuer.mint(ctx, "chat", "service"); err != nil {
		return err
	}
	for i, s := range d.shops {
		if err := d.openShop(ctx, i, s); err != nil {
			return fmt.Errorf("open shop %s: %w", s.name, err)
		}
	}
	// Two clients share a wallet, so that they meet there.
	for i := range (d.cfg.Clients + 1) / 2 {
		u, err := d.invite(ctx, fmt.Sprintf("buyer-%02d", i))
		if err != nil {
			return fmt.Errorf("invite a user: %w", err)
		}
		d.world.users = append(d.world.users, u)
	}
	return nil
}

func (d *drill) openShop(ctx context.Context, i int, s *shop) error {
	souk := d.souk[0]
	var m struct{ Merchant struct{ ID string } }
	err := souk.Mutate(ctx, d.world.service, driver.MerchantRegister, map[string]any{
		"name": "The " + s.name + " shop", "endpointUrl": s.url + "/orders", "jwksUrl": s.url + "/.well-known/jwks.json",
	}, &m)
	if err != nil {
		return err
	}
	s.id = m.Merchant.ID
	token, err := merchantToken(ctx, s.sign, s.id)
	if err != nil {
		return err
	}
	var hook struct{ Secret string }
	if err := souk.Mutate(ctx, token, driver.WebhookEndpointCreate, map[string]any{"url": s.url + "/webhooks"}, &hook); err != nil {
		return err
	}
	// Until it has these the product server answers 503 to all.
	if err := s.tell(ctx, "/configure", merchantsim.Settings{MerchantID: s.id, WebhookSecrets: []string{hook.Secret}}); err != nil {
		return err
	}
	hooks := shops[i].webhooks
	hooks.On = merchantsim.OnWebhooks
	if err := s.tell(ctx, "/behave", hooks); err != nil {
		return err
	}
	for _, p := range shops[i].products {
		if err := d.offer(ctx, s, token, p); err != nil {
			return fmt.Errorf("offer %s: %w", p.sku, err)
		}
	}
	return nil
}

// offer puts a product up for sale and fetches its cards.
func (d *drill) offer(ctx context.Context, s *shop, token string, p product) error {
	in := map[string]any{"sku": p.sku, "name": p.sku, "price": driver.Euro(p.price)}
	if p.stock > 0 {
		in["stockCount"] = strconv.FormatInt(p.stock, 10)
	}
	if err := d.souk[0].Mutate(ctx, token, driver.ProductPut, in, nil); err != nil {
		return err
	}
	p.plan.SKU = p.sku
	if err := s.tell(ctx, "/behave", p.plan); err != nil {
		return err
	}
	for name, confirm := range map[string]string{p.sku: merchantsim.ConfirmByServer, p.sku + "/card": merchantsim.ConfirmByCard} {
		card, err := s.card(ctx, p.sku, confirm)
		if err != nil {
			return err
		}
		d.world.offers[name] = offer{product: p, shop: s, card: card, byCard: confirm == merchantsim.ConfirmByCard}
	}
	return nil
}

func (d *drill) invite(ctx context.Context, name string) (*user, error) {
	u := &user{name: name}
	souk := d.souk[0]
	id, err := souk.ProvisionUser(ctx, d.world.service, name, name)
	if err != nil {
		return nil, err
	}
	var talk struct{ Conversation struct{ ID string } }
	err = souk.Mutate(ctx, d.world.service, driver.ConversationProvision,
		map[string]any{"externalId": "talk-" + name, "title": "Receipts of " + name, "memberIds": []string{id}}, &talk)
	if err != nil {
		return nil, err
	}
	u.conversation = talk.Conversation.ID
	if u.token, err = d.issuer.mint(ctx, name, ""); err != nil {
		return nil, err
	}
	if u.wallet, err = souk.AddSource(ctx, u.token, "WALLET", "Wallet", ""); err != nil {
		return nil, err
	}
	u.bank, err = souk.AddSource(ctx, u.token, "BANK_ACCOUNT", "Bank", "ok")
	return u, err
}

// newShop says how a merchant's product server runs.
func (d *drill) newShop(i int) (*shop, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &shop{name: shops[i].name, url: "http://" + address, folder: filepath.Join(d.dir, "merchants", shops[i].name)}
	keys, err := merchantsim.LoadKeys(s.folder)
	if err != nil {
		return nil, err
	}
	s.sign = keys.Sign
	command := []string{d.cfg.Binary, "merchant-sim", "--log-level", "warn", "--listen", address, "--data", s.folder, "--souk", d.publicURL}
	for _, p := range shops[i].products {
		command = append(command, "--product", fmt.Sprintf("sku=%s;name=%s;price=%d EUR", p.sku, p.sku, p.price))
	}
	s.server = &process{
		name: "product server " + s.name, command: command, env: cleanEnv(), logPath: d.logPath("merchant-" + s.name),
		ready: func(ctx context.Context, _ int) bool { return answers(ctx, s.url+"/healthz") },
	}
	return s, nil
}

// logFile is where the merchant keeps its own log.
func (s *shop) logFile() string { return merchantsim.Config{Data: s.folder}.LogPath() }

// tell gives the product server's owner's orders.
func (s *shop) tell(ctx context.Context, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	_, err = exchange(ctx, http.MethodPost, s.url+path, body)
	return err
}

func (s *shop) card(ctx context.Context, sku, confirm string) (string, error) {
	card, err := exchange(ctx, http.MethodGet, s.url+"/card?"+url.Values{"sku": {sku}, "confirm": {confirm}}.Encode(), nil)
	return string(card), err
}

// maxAnswer bounds what a product server may say.
const maxAnswer = 1 << 20

func exchange(ctx context.Context, method, to string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answered %d: %s", to, resp.StatusCode, answer)
	}
	return answer, err
}

// answers tells whether a URL answers 200.
func answers(ctx context.Context, to string) bool {
	_, err := exchange(ctx, http.MethodGet, to, nil)
	return err == nil
}
