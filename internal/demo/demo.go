// Package demo buys something, from nothing to the receipt, through the public
// API and with a real product server, and shows each step.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// Demo runs against a Souk that serves and a merchant's product server.
type Demo struct {
	Souk     *driver.Client
	Merchant *merchantsim.Server
	// MerchantURL is where the product server is reached.
	MerchantURL string
	Out         io.Writer
	// Tokens of the chat app's server and of the users, who need not be there.
	Service string
	Token   func(ctx context.Context, user string) (string, error)

	step int
}

// Result is what is there after the demo, for those who go on by hand.
type Result struct {
	Order        string
	Conversation string
	Card         string
	Wallet       string // Alice's funding source
	Tokens       map[string]string
}

// Amounts of the demo, in euro cents.
const (
	topUp = 5000
	price = 1250
)

// Run performs the demo. Run again, it buys once more.
func (d *Demo) Run(ctx context.Context) (Result, error) {
	r := Result{Tokens: map[string]string{}}
	d.Souk.Show = d.show
	for _, step := range []struct {
		title string
		do    func(context.Context, *Result) error
	}{
		{"The chat app tells Souk who its users are: Alice and Bob, who are friends", d.people},
		{"A merchant is registered, offers tea, and wants to hear of its orders", d.shop},
		{"Alice fills her wallet from her bank", d.fund},
		{"Bob shares the merchant's signed product card in the chat", d.share},
		{"Alice buys. Souk holds the money, asks the merchant's server, and pays when it confirms", d.buy},
		{"The receipt stands in the chat", d.receipt},
		{"The merchant has heard of it, by a signed webhook", d.webhook},
		{"The money has moved", d.balances},
	} {
		d.title(step.title)
		if err := step.do(ctx, &r); err != nil {
			return r, fmt.Errorf("%s: %w", strings.ToLower(step.title[:1])+step.title[1:], err)
		}
	}
	return r, nil
}

func (d *Demo) title(text string) {
	d.step++
	_, _ = fmt.Fprintf(d.Out, "\n%d. %s\n", d.step, text)
}

func (d *Demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.Out, "   "+format+"\n", args...)
}

// show prints an operation and its answer, as a frontend would send them.
func (d *Demo) show(document string, variables map[string]any, answer json.RawMessage) {
	_, _ = fmt.Fprintf(d.Out, "\n%s\n", indent(document, "   | "))
	if in, err := json.Marshal(variables); err == nil && len(variables) > 0 {
		_, _ = fmt.Fprintf(d.Out, "   variables %s\n", shorten(string(in)))
	}
	_, _ = fmt.Fprintf(d.Out, "   answer    %s\n", shorten(string(answer)))
}

func indent(text, by string) string { return by + strings.ReplaceAll(text, "\n", "\n"+by) }

// lineMax keeps keys and tokens from filling the screen.
const lineMax = 600

func shorten(s string) string {
	if len(s) <= lineMax {
		return s
	}
	return s[:lineMax] + " …"
}

func (d *Demo) people(ctx context.Context, r *Result) error {
	ids := map[string]string{}
	for _, name := range []string{"alice", "bob"} {
		token, err := d.Token(ctx, name)
		if err != nil {
			return err
		}
		r.Tokens[name] = token
		if ids[name], err = d.Souk.ProvisionUser(ctx, d.Service, name, strings.ToUpper(name[:1])+name[1:]); err != nil {
			return err
		}
	}
	err := d.Souk.Mutate(ctx, d.Service, driver.ContactSet, map[string]any{"userId": ids["alice"], "contactId": ids["bob"], "state": "CONTACT"}, nil)
	if err != nil {
		return err
	}
	var p struct{ Conversation struct{ ID string } }
	err = d.Souk.Mutate(ctx, d.Service, driver.ConversationProvision,
		map[string]any{"externalId": "tea-time", "title": "Tea time", "memberIds": []string{ids["alice"], ids["bob"]}}, &p)
	r.Conversation = p.Conversation.ID
	return err
}

func (d *Demo) shop(ctx context.Context, _ *Result) error {
	var m struct{ Merchant struct{ ID string } }
	err := d.Souk.Mutate(ctx, d.Service, driver.MerchantRegister,
		map[string]any{"name": "The Tea House", "endpointUrl": d.MerchantURL + "/orders", "jwks": string(d.Merchant.JWKS())}, &m)
	if err != nil {
		return err
	}
	if err := d.Merchant.Configure(merchantsim.Settings{
		MerchantID: m.Merchant.ID,
		Products:   []merchantsim.Product{{SKU: "TEA", Name: "Green tea, 100 g", Price: merchantsim.Money{AmountMinor: price, Currency: "EUR"}}},
	}); err != nil {
		return err
	}
	token, err := d.Merchant.APIToken("souk")
	if err != nil {
		return err
	}
	err = d.Souk.Mutate(ctx, token, driver.ProductPut,
		map[string]any{"sku": "TEA", "name": "Green tea, 100 g", "price": driver.Euro(price), "stockCount": "100"}, nil)
	if err != nil {
		return err
	}
	var w struct{ Secret string }
	if err := d.Souk.Mutate(ctx, token, driver.WebhookEndpointCreate, map[string]any{"url": d.MerchantURL + "/webhooks"}, &w); err != nil {
		return err
	}
	return d.Merchant.Configure(merchantsim.Settings{WebhookSecrets: []string{w.Secret}})
}

func (d *Demo) fund(ctx context.Context, r *Result) error {
	alice := r.Tokens["alice"]
	var err error
	if r.Wallet, err = d.Souk.AddSource(ctx, alice, "WALLET", "My wallet", ""); err != nil {
		return err
	}
	bank, err := d.Souk.AddSource(ctx, alice, "BANK_ACCOUNT", "My bank", "ok")
	if err != nil {
		return err
	}
	state, err := d.Souk.TopUp(ctx, alice, key("top-up"), bank, driver.Euro(topUp))
	if err == nil && state != "SUCCEEDED" {
		err = errors.New("the top-up is " + state)
	}
	return err
}

// key makes an idempotency key that no earlier run has used.
func key(what string) string { return fmt.Sprintf("demo-%s-%d", what, time.Now().UnixNano()) }

func (d *Demo) share(ctx context.Context, r *Result) error {
	card, err := d.Merchant.Card("TEA", "server")
	if err != nil {
		return err
	}
	r.Card = card
	return d.Souk.Mutate(ctx, r.Tokens["bob"], driver.ProductCardShare, map[string]any{
		"conversationId": r.Conversation, "card": card, "text": "Try this one!", "idempotencyKey": key("share"),
	}, nil)
}

func (d *Demo) buy(ctx context.Context, r *Result) error {
	p := driver.Purchase{Key: key("buy"), Card: r.Card, Source: r.Wallet, Conversation: r.Conversation}
	o, _, err := d.Souk.Buy(ctx, r.Tokens["alice"], p)
	if err != nil {
		return err
	}
	r.Order = o.ID
	if o.State != "PAID" {
		return errors.New("the order is " + o.State)
	}
	again, replayed, err := d.Souk.Buy(ctx, r.Tokens["alice"], p)
	if err != nil {
		return err
	}
	if !replayed || again.ID != o.ID {
		return errors.New("sent again, the purchase was not recognised")
	}
	d.say("Sent again with the same key, it is the same order: nothing is paid twice.")
	return nil
}

// patience is how long the background work may take.
const patience = 20 * time.Second

// await asks until what it looks for is there.
func await(ctx context.Context, look func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := look()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not come in time")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d *Demo) receipt(ctx context.Context, r *Result) error {
	show := d.Souk.Show
	d.Souk.Show = nil // the last look is shown
	defer func() { d.Souk.Show = show }()
	err := await(ctx, func() (bool, error) {
		var out json.RawMessage
		err := d.Souk.Do(ctx, r.Tokens["alice"], driver.Conversation, map[string]any{"id": r.Conversation}, &out)
		return strings.Contains(string(out), r.Order), err
	})
	if err != nil {
		return err
	}
	d.Souk.Show = show
	return d.Souk.Do(ctx, r.Tokens["alice"], driver.Conversation, map[string]any{"id": r.Conversation}, nil)
}

func (d *Demo) webhook(ctx context.Context, r *Result) error {
	return await(ctx, func() (bool, error) {
		recent, _ := d.Merchant.Log().Recent()
		for _, e := range recent {
			if e.Kind == merchantsim.Webhook && e.OrderID == r.Order {
				d.say("%s for order %s: signature %s", e.Event, e.OrderID, e.Verdict)
				return true, nil
			}
		}
		return false, nil
	})
}

func (d *Demo) balances(ctx context.Context, r *Result) error {
	return d.Souk.Do(ctx, r.Tokens["alice"], driver.FundingSources, nil, nil)
}
