package app_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

const nodesShow = `query NodesShow($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`

// nodes gives for each id the type of what the bearer of a token finds; empty if
// nothing.
func (b *testBundle) nodes(t *testing.T, token string, ids []string) (types []string) {
	t.Helper()
	var out struct {
		Nodes []*struct {
			Typename string `json:"__typename"`
			ID       string
		}
	}
	b.ask(t, token, nodesShow, map[string]any{"ids": ids}, &out)
	for i, n := range out.Nodes {
		switch {
		case n == nil:
			types = append(types, "")
		case n.ID != ids[i]:
			t.Errorf("asked for %s, got %s", ids[i], n.ID)
		default:
			types = append(types, n.Typename)
		}
	}
	return types
}

// estate is one object of each type, all about Alice and the shop.
func (b *testBundle) estate(t *testing.T, alice *person, shop *shop) map[string]string {
	t.Helper()
	talk := b.talk(t, alice)
	phone, _ := b.device(t, alice)
	o, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "TEA"), Source: alice.Wallet, Conversation: talk})
	if err != nil {
		t.Fatal(err)
	}
	refund, err := b.api.GiveBack(t.Context(), shop.token(t), newKey(), o.ID, driver.Euro(1))
	if err != nil {
		t.Fatal(err)
	}
	shop.told(t, "order.refunded", o.ID)
	var own struct {
		Viewer struct {
			Merchant         struct{ Accounts []named }
			WebhookEndpoints struct {
				Nodes []struct {
					ID         string
					Deliveries struct{ Nodes []named }
				}
			}
		}
	}
	b.ask(t, shop.token(t), `query Estate {
  viewer { merchant { accounts { id } } webhookEndpoints(first: 1) { nodes { id deliveries(first: 1) { nodes { id } } } } }
}`, nil, &own)
	endpoint := own.Viewer.WebhookEndpoints.Nodes[0]
	return map[string]string{
		"User": alice.ID, "Device": phone, "Conversation": talk, "Message": b.say(t, alice, talk, "Hello").ID,
		"Merchant": shop.ID, "Product": b.offer(t, shop, "TEA", teaPrice, nil), "Order": o.ID, "Refund": refund.ID,
		"FundingSource": alice.Wallet, "FundingTransfer": b.fundingTransfers(t, alice)[0].ID,
		"WebhookEndpoint": endpoint.ID, "WebhookDelivery": endpoint.Deliveries.Nodes[0].ID, "MerchantAccount": own.Viewer.Merchant.Accounts[0].ID,
	}
}

// Everybody sees what is theirs, and of what is another's not even that it is
// there.
func TestAccess_Nodes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice, eve, shop, other := b.rich(t, "Alice", 5000), b.user(t, "Eve"), b.shop(t, 10), b.shop(t, 10)
		elsewhere := setup(t, b.world) // another sandbox
		stranger, foreign := elsewhere.user(t, "Alice"), elsewhere.shop(t, 10)
		estate := b.estate(t, alice, shop)
		types := slices.Sorted(maps.Keys(estate))
		if missing := slices.DeleteFunc(nodeTypes(t), func(typ string) bool { return estate[typ] != "" }); len(missing) > 0 {
			t.Fatalf("no object of %v is tried", missing)
		}
		var all []string
		for _, typ := range types {
			all = append(all, estate[typ])
		}
		public := []string{"Merchant", "Product"} // to everybody of the sandbox
		for who, try := range map[string]struct {
			token string
			sees  []string
		}{
			"the buyer":             {alice.Token, []string{"Conversation", "Device", "FundingSource", "FundingTransfer", "Merchant", "Message", "Order", "Product", "Refund", "User"}},
			"the merchant":          {shop.token(t), []string{"Merchant", "MerchantAccount", "Order", "Product", "Refund", "WebhookDelivery", "WebhookEndpoint"}},
			"another user":          {eve.Token, public},
			"another merchant":      {other.token(t), public},
			"a user elsewhere":      {stranger.Token, nil},
			"a merchant elsewhere":  {foreign.token(t), nil},
			"a server elsewhere":    {elsewhere.service, nil},
			"an operator elsewhere": {elsewhere.operator, nil},
			"a live user":           {b.live(t, alice.Subject), nil},
			"a live server":         {b.liveServer(t, "service"), nil},
			"a live operator":       {b.liveServer(t, "operator"), nil},
			"nobody":                {"", nil},
		} {
			got := slices.DeleteFunc(b.nodes(t, try.token, all), func(typ string) bool { return typ == "" })
			if !slices.Equal(got, try.sees) {
				t.Errorf("%s sees %v, want %v", who, got, try.sees)
			}
		}
		// What names nothing is nothing.
		odd := []string{"", "nonsense", id.Global("Order", id.New()), id.Global("Secret", orderKey(t, estate["Order"])), id.Global("Order", orderKey(t, alice.ID)), strings.Repeat("A", 1000)}
		if got := b.nodes(t, alice.Token, odd); !slices.Equal(got, make([]string, len(odd))) {
			t.Errorf("what names nothing is %v", got)
		}
		wantFault(t, b.api.Do(t.Context(), alice.Token, nodesShow, map[string]any{"ids": make([]string, 101)}, nil), "VALIDATION_FAILED")
		b.wantInsideHidden(t, eve, estate)
	})
}

const insideShow = `query InsideShow($merchant: ID!, $product: ID!) {
  merchant(id: $merchant) { name endpointUrl jwksUrl }
  product(id: $product) { name stockCount }
}`

// wantInsideHidden checks that a customer sees of a shop what stands in its window.
func (b *testBundle) wantInsideHidden(t *testing.T, p *person, estate map[string]string) {
	t.Helper()
	var out struct {
		Merchant struct{ Name, EndpointURL, JwksURL *string }
		Product  struct{ Name, StockCount *string }
	}
	b.ask(t, p.Token, insideShow, map[string]any{"merchant": estate["Merchant"], "product": estate["Product"]}, &out)
	if out.Merchant.Name == nil || out.Merchant.EndpointURL != nil || out.Merchant.JwksURL != nil || out.Product.Name == nil || out.Product.StockCount != nil {
		t.Errorf("a customer sees %+v", out)
	}
}

// live makes a user of live, by the name of one in the sandbox, and gives a token.
func (b *testBundle) live(t *testing.T, subject string) string {
	t.Helper()
	if _, err := b.api.ProvisionUser(t.Context(), b.liveServer(t, "service"), subject, "Live"); err != nil {
		t.Fatal(err)
	}
	return b.token(t, subject, map[string]any{"souk_sandbox": nil})
}

func (b *testBundle) liveServer(t *testing.T, role string) string {
	t.Helper()
	return b.token(t, b.name(role), map[string]any{"souk_sandbox": nil, "souk_role": role})
}

// Live and the sandboxes have nothing in common: neither users nor merchants nor
// money, and no time.
func TestAccess_Modes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		talk := b.talk(t, alice)
		elsewhere := setup(t, b.world)
		twin := &person{Token: elsewhere.token(t, alice.Subject, nil)}
		var err error
		if twin.ID, err = b.api.ProvisionUser(ctx, elsewhere.service, alice.Subject, "Alice"); err != nil || twin.ID == alice.ID {
			t.Fatalf("the twin is %s, %v", twin.ID, err)
		}
		liveToken := b.live(t, alice.Subject)
		liveID := b.view(t, liveToken).Viewer.User.ID
		if mode := b.view(t, liveToken).Viewer.Mode; mode != "LIVE" || liveID == alice.ID {
			t.Errorf("the live user is %s of %s", liveID, mode)
		}
		card := shop.card(t, "TEA")
		for who, other := range map[string]struct{ user, service, operator string }{
			"live":            {liveToken, b.liveServer(t, "service"), b.liveServer(t, "operator")},
			"another sandbox": {twin.Token, elsewhere.service, elsewhere.operator},
		} {
			wallet, err := b.api.AddSource(ctx, other.user, "WALLET", "Mine", "")
			if err != nil {
				t.Fatal(err)
			}
			for what, refused := range map[string]struct {
				err  error
				code string
			}{
				"buys with the wallet": {b.tryBuy(t, other.user, card, alice.Wallet, ""), "CARD_INVALID"},
				"buys by the card":     {b.tryBuy(t, other.user, card, wallet, ""), "CARD_INVALID"},
				"says in the talk":     {b.api.Mutate(ctx, other.user, messageSend, map[string]any{"conversationId": talk, "text": "Hi", "idempotencyKey": newKey()}, nil), "CONVERSATION_NOT_FOUND"},
				"tops up from there":   {b.api.Mutate(ctx, other.user, driver.WalletTopUp, map[string]any{"idempotencyKey": newKey(), "sourceId": alice.Bank, "amount": driver.Euro(1)}, nil), "FUNDING_SOURCE_NOT_FOUND"},
				"blocks the user":      {b.api.Mutate(ctx, other.service, userBlock, map[string]any{"userId": alice.ID, "blocked": true}, nil), "USER_NOT_FOUND"},
				"erases the user":      {b.api.Mutate(ctx, other.service, userErase, map[string]any{"userId": alice.ID}, nil), "USER_NOT_FOUND"},
				"befriends the user":   {b.api.Mutate(ctx, other.service, driver.ContactSet, map[string]any{"userId": alice.ID, "contactId": liveID, "state": "CONTACT"}, nil), "USER_NOT_FOUND"},
				"invites the user":     {b.api.Mutate(ctx, other.service, driver.ConversationProvision, map[string]any{"externalId": newKey(), "title": "T", "memberIds": []string{alice.ID}}, nil), "MEMBER_NOT_FOUND"},
				"ends the talk":        {b.api.Mutate(ctx, other.service, conversationEnd, map[string]any{"conversationId": talk}, nil), "CONVERSATION_NOT_FOUND"},
				"suspends the shop":    {b.api.Mutate(ctx, other.operator, merchantSuspend, map[string]any{"merchantId": shop.ID, "suspended": true}, nil), "MERCHANT_NOT_FOUND"},
				"lends to the user":    {b.api.Mutate(ctx, other.operator, creditLineSet, map[string]any{"userId": alice.ID, "limit": driver.Euro(1)}, nil), "USER_NOT_FOUND"},
			} {
				t.Run(who+" "+what, func(t *testing.T) { wantRefusal(t, refused.err, refused.code) })
			}
		}
		// Money comes into live by a live rail alone, and live has no such clock.
		_, err = b.api.AddSource(ctx, liveToken, "BANK_ACCOUNT", "My bank", "ok")
		wantRefusal(t, err, "RAIL_UNAVAILABLE")
		err = b.api.Mutate(ctx, b.liveServer(t, "service"), testClockAdvance, map[string]any{"seconds": 1}, nil)
		wantRefusal(t, err, "CLOCK_LIVE")
		for _, seconds := range []int{0, -1, 31_536_001} {
			wantRefusal(t, b.api.Mutate(ctx, b.service, testClockAdvance, map[string]any{"seconds": seconds}, nil), "CLOCK_STEP", "seconds")
		}
		b.wantWallet(t, alice, 5000, 0)
	})
}

// tryBuy gives what becomes of a purchase.
func (b *testBundle) tryBuy(t *testing.T, token, card, source, talk string) error {
	t.Helper()
	_, _, err := b.api.Buy(t.Context(), token, driver.Purchase{Key: newKey(), Card: card, Source: source, Conversation: talk})
	return err
}

// Another user's order is not there, whatever is done with it.
func TestAccess_OthersOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, other, alice, eve := b.shop(t, 10), b.shop(t, 10), b.rich(t, "Alice", 5000), b.rich(t, "Eve", 5000)
		key := newKey()
		shop.behave(t, later)
		o, _, err := b.api.Buy(ctx, alice.Token, driver.Purchase{Key: key, Card: shop.card(t, "TEA"), Source: alice.Wallet})
		if err != nil {
			t.Fatal(err)
		}
		b.leavesNothing(t, func() {
			for _, token := range []string{eve.Token, other.token(t), b.service, ""} {
				if got := b.order(t, token, o.ID); got != nil {
					t.Errorf("a stranger sees %+v", got)
				}
			}
			_, _, err := b.api.Cancel(ctx, eve.Token, newKey(), o.ID)
			wantRefusal(t, err, "ORDER_NOT_FOUND", "orderId")
			_, err = b.api.GiveBack(ctx, other.token(t), newKey(), o.ID, driver.Euro(1))
			wantRefusal(t, err, "ORDER_NOT_FOUND", "orderId")
			var out struct{ OrderByIdempotencyKey *named }
			b.ask(t, eve.Token, driver.OrderByKey, map[string]any{"key": key}, &out)
			if out.OrderByIdempotencyKey != nil {
				t.Errorf("by its key a stranger sees %+v", out)
			}
			r, err := b.api.Reverse(ctx, eve.Token, newKey(), key)
			if err != nil || r.Outcome != "NEVER_CHARGED" || r.Order != nil {
				t.Errorf("a stranger reverses %+v, %v", r, err)
			}
		})
		wantState(t, b.order(t, alice.Token, o.ID).Order, "AUTHORISED")
		for who, token := range map[string]string{"a stranger": eve.Token, "another merchant": other.token(t)} {
			if all, err := b.api.OrdersOf(ctx, token); err != nil || len(all) != 0 {
				t.Errorf("%s lists %+v, %v", who, all, err)
			}
		}
	})
}

// A token counts if a known issuer made it, for Souk, for now, and signed it.
func TestAccess_Tokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice := b.user(t, "Alice")
		claims := func(c map[string]any) string { return b.token(t, alice.Subject, c) }
		thief, err := jose.Generate(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		key, err := b.keys.SigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		public, err := json.Marshal(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		renamed := *thief
		renamed.ID = key.ID
		body := map[string]any{
			"iss": b.issuer, "aud": audience, "sub": alice.Subject, "jti": newKey(), "souk_sandbox": b.sandbox,
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}
		payload, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		stolen, err := jose.Sign(payload, &renamed, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		symmetric := map[string]string{"alg": "HS256", "typ": "JWT", "kid": key.ID}
		now := time.Now()
		for what, token := range map[string]string{
			"expired":                     b.mint(t, auth.MintInput{Subject: alice.Subject, Now: now.Add(-2 * time.Hour), Lifetime: time.Hour}),
			"of tomorrow":                 b.mint(t, auth.MintInput{Subject: alice.Subject, Now: now.Add(time.Hour)}),
			"not valid yet":               claims(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
			"without an end":              claims(map[string]any{"exp": nil}),
			"for another audience":        b.mint(t, auth.MintInput{Subject: alice.Subject, Audience: "another-app"}),
			"without an audience":         claims(map[string]any{"aud": nil}),
			"of another issuer":           b.mint(t, auth.MintInput{Subject: alice.Subject, Issuer: "https://evil.example"}),
			"of almost the issuer":        b.mint(t, auth.MintInput{Subject: alice.Subject, Issuer: b.issuer + "/"}),
			"without an issuer":           claims(map[string]any{"iss": nil}),
			"without a signature":         b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"alg": "none"}}),
			"without a signature or name": b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"alg": "none", "kid": nil}}),
			"of another's key":            stolen,
			"of a key in its own header":  b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"kid": "nobody", "jwk": json.RawMessage(public)}}),
			"signed by the public key":    forge(t, symmetric, body, func(s string) []byte { return mac(public, s) }),
			"with an extension":           b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"crit": []string{"x"}, "x": 1}}),
			"of another type":             b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"typ": merchantsim.TypeCard}}),
			"without a subject":           claims(map[string]any{"sub": nil}),
			"of nobody":                   b.token(t, "nobody", nil),
			"of an unknown role":          claims(map[string]any{"souk_role": "king"}),
			"of sandbox zero":             claims(map[string]any{"souk_sandbox": 0}),
			"of a sandbox below zero":     claims(map[string]any{"souk_sandbox": -1}),
			"of a sandbox beyond all":     claims(map[string]any{"souk_sandbox": 1 << 20}),
			"of a device that is none":    claims(map[string]any{"device": alice.ID}),
			"of a device that is gone":    claims(map[string]any{"device": id.Global("Device", id.New())}),
			"bound in an unknown way":     claims(map[string]any{"cnf": map[string]any{"x5t#S256": "AAAA"}}),
			"tampered":                    tampered(alice.Token),
			"cut":                         alice.Token[:len(alice.Token)-5],
			"no token":                    "nonsense",
			"too long":                    rand.Text() + strings.Repeat("A", 10_000),
		} {
			if got := faultOf(b.api.Do(t.Context(), token, viewerShow, nil, nil)); got != "UNAUTHENTICATED" {
				t.Errorf("a token %s: %s", what, got)
			}
		}
		// Those that are good in an unusual way.
		for what, token := range map[string]string{
			"for several":      claims(map[string]any{"aud": []string{"another-app", audience}}),
			"of a clock ahead": b.mint(t, auth.MintInput{Subject: alice.Subject, Now: now.Add(10 * time.Second)}),
			"of its own type":  b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"typ": "at+jwt"}}),
			"of no type":       b.mint(t, auth.MintInput{Subject: alice.Subject, Header: map[string]any{"typ": nil}}),
		} {
			if err := b.api.Do(t.Context(), token, viewerShow, nil, nil); err != nil {
				t.Errorf("a token %s: %v", what, err)
			}
		}
		b.wantChallenge(t)
	})
}

// wantChallenge checks that bad credentials are met as RFC 6750 §3 says.
func (b *testBundle) wantChallenge(t *testing.T) {
	t.Helper()
	resp, _ := b.post(t, `{"query":"{viewer{mode}}"}`, "Authorization", "Bearer nonsense")
	if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("bad credentials are met with %d %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
}

// A merchant's own token is short-lived, and signed by its own key alone.
func TestAccess_MerchantTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, other := b.shop(t, 10), b.shop(t, 10)
		token := func(key *jose.Key, typ string, change map[string]any) string {
			now := time.Now()
			claims := map[string]any{
				"iss": shop.ID, "sub": shop.ID, "aud": audience, "jti": newKey(), "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(),
			}
			maps.Copy(claims, change)
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := jose.Sign(payload, key, typ)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
		own := shop.Keys().Sign
		if v := b.view(t, token(own, "JWT", nil)).Viewer; v.Merchant == nil || v.Merchant.ID != shop.ID || v.User != nil {
			t.Errorf("the merchant is %+v", v)
		}
		for what, token := range map[string]string{
			"of another's key":      token(other.Keys().Sign, "JWT", nil),
			"for another":           token(own, "JWT", map[string]any{"sub": other.ID}),
			"of another":            token(own, "JWT", map[string]any{"iss": other.ID, "sub": other.ID}),
			"for another audience":  token(own, "JWT", map[string]any{"aud": "another-app"}),
			"that lives too long":   token(own, "JWT", map[string]any{"exp": time.Now().Add(time.Hour).Unix()}),
			"expired":               token(own, "JWT", map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-time.Minute).Unix()}),
			"without a name":        token(own, "JWT", map[string]any{"jti": nil}),
			"without a beginning":   token(own, "JWT", map[string]any{"iat": nil}),
			"that is a card":        shop.card(t, "TEA"),
			"that is of that type":  token(own, merchantsim.TypeCard, nil),
			"that is of an answer":  token(own, merchantsim.TypeAnswer, nil),
			"of a merchant unknown": token(own, "JWT", map[string]any{"iss": id.Global("Merchant", id.New())}),
		} {
			if got := faultOf(b.api.Do(t.Context(), token, viewerShow, nil, nil)); got != "UNAUTHENTICATED" {
				t.Errorf("a merchant's token %s: %s", what, got)
			}
		}
	})
}

// callers are the roles, and allowed says which of them may call each mutation.
var (
	callers = []string{"user", "merchant", "service", "operator"}
	allowed = map[string]string{
		"messageSend": "user", "productCardShare": "user", "deviceRegister": "user", "deviceRevoke": "user",
		"fundingSourceAdd": "user", "fundingSourceRemove": "user", "walletTopUp": "user", "walletReturn": "user",
		"purchaseCreate": "user", "purchaseCancel": "user", "purchaseReverse": "user",
		"productPut": "merchant", "productWithdraw": "merchant",
		"webhookEndpointCreate": "merchant", "webhookEndpointUpdate": "merchant", "webhookSecretRotate": "merchant", "webhookReplay": "merchant",
		"purchaseRefund": "merchant operator", "merchantUpdate": "merchant operator",
		"merchantSuspend": "operator", "creditLineSet": "operator",
		"userProvision": "service operator", "userBlock": "service operator", "userRemove": "service operator", "userErase": "service operator",
		"userTokensRevoke": "service operator", "contactSet": "service operator", "merchantRegister": "service operator",
		"conversationProvision": "service operator", "conversationRemove": "service operator", "testClockAdvance": "service operator",
		"tokenRevoke": "user service operator",
	}
)

// Whoever may not call a mutation at all is told so, before anything else.
func TestAccess_Roles(t *testing.T) {
	schema := loadSchema(t)
	var mutations []*ast.FieldDefinition
	for _, f := range schema.Mutation.Fields {
		mutations = append(mutations, f)
		if allowed[f.Name] == "" {
			t.Errorf("nobody is said to be allowed to call %s", f.Name)
		}
	}
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.user(t, "Alice")
		tokens := map[string]string{"user": alice.Token, "merchant": shop.token(t), "service": b.service, "operator": b.operator}
		b.leavesNothing(t, func() {
			for _, f := range mutations {
				input := f.Arguments.ForName("input").Type.Name()
				document := fmt.Sprintf("mutation M($input: %s!) { %s(input: $input) { __typename } }", input, f.Name)
				variables := map[string]any{"input": example(schema, schema.Types[input])}
				if got := faultOf(b.api.Do(t.Context(), "", document, variables, nil)); got != "UNAUTHENTICATED" {
					t.Errorf("nobody calls %s: %s", f.Name, got)
				}
				for _, who := range callers {
					if slices.Contains(strings.Fields(allowed[f.Name]), who) {
						continue
					}
					if got := faultOf(b.api.Do(t.Context(), tokens[who], document, variables, nil)); got != "FORBIDDEN" {
						t.Errorf("a %s calls %s: %s", who, f.Name, got)
					}
				}
			}
		})
	})
}

// example is an input of the right form.
func example(schema *ast.Schema, input *ast.Definition) map[string]any {
	values := map[string]any{}
	for _, f := range input.Fields {
		if f.Type.NonNull && f.DefaultValue == nil {
			values[f.Name] = exampleOf(schema, f.Type)
		}
	}
	return values
}

func exampleOf(schema *ast.Schema, typ *ast.Type) any {
	if typ.Elem != nil {
		return []any{exampleOf(schema, typ.Elem)}
	}
	switch def := schema.Types[typ.Name()]; def.Kind {
	case ast.InputObject:
		return example(schema, def)
	case ast.Enum:
		return def.EnumValues[0].Name
	}
	switch typ.Name() {
	case "Int", "Int64":
		return 1
	case "Boolean":
		return true
	case "CurrencyCode":
		return "EUR"
	case "URL":
		return "https://shop.example/orders"
	}
	return "example"
}

// What only some may read is null to the others, or refused where it is a
// question of its own.
func TestAccess_Reads(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.user(t, "Alice")
		for _, token := range []string{alice.Token, shop.token(t)} {
			wantFault(t, b.api.Do(ctx, token, userByExternalID, map[string]any{"name": alice.Subject}, nil), "FORBIDDEN")
		}
		wantFault(t, b.api.Do(ctx, "", userByExternalID, map[string]any{"name": alice.Subject}, nil), "UNAUTHENTICATED")
		for _, token := range []string{shop.token(t), b.service, b.operator} {
			wantFault(t, b.api.Do(ctx, token, driver.OrderByKey, map[string]any{"key": "k"}, nil), "FORBIDDEN")
		}
		wantFault(t, b.api.Do(ctx, "", driver.OrderByKey, map[string]any{"key": "k"}, nil), "UNAUTHENTICATED")
		if v := b.view(t, ""); v.Viewer != nil {
			t.Errorf("nobody is %+v", v.Viewer)
		}
		for who, token := range map[string]string{"the service": b.service, "the operator": b.operator, "the merchant": shop.token(t)} {
			var out struct {
				Viewer struct{ FundingSources, FundingTransfers, Devices, PersonalData any }
			}
			b.ask(t, token, `query Private {
  viewer { fundingSources(first: 1) { nodes { id } } fundingTransfers(first: 1) { nodes { id } } devices(first: 1) { nodes { id } } personalData }
}`, nil, &out)
			if v := out.Viewer; v.FundingSources != nil || v.FundingTransfers != nil || v.Devices != nil || v.PersonalData != nil {
				t.Errorf("%s has %+v", who, v)
			}
		}
	})
}
