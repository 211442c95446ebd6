package merchant_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/testkit"
)

func TestService_RegisterOfferSuspend(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		if s.Status != merchant.Active || s.Mode != sandbox || s.JWKSURL != b.server.url {
			t.Errorf("registered as %+v", s.Merchant)
		}
		p := b.offer(t, s, "bread", tenEuro)
		if !p.Available() || p.Mode != sandbox || p.MerchantID != s.ID {
			t.Errorf("offered as %+v", p)
		}
		accounts, err := ledger.New(db, b.clock).OwnedBy(t.Context(), ledger.OwnerMerchant, s.ID)
		if err != nil || len(accounts) != 1 || accounts[0].Kind != ledger.KindPayable || accounts[0].Currency() != money.EUR {
			t.Errorf("the merchant's accounts are %+v, %v", accounts, err)
		}
		if a, err := b.service.Payable(t.Context(), s.Merchant, money.EUR); err != nil || a != accounts[0].ID {
			t.Errorf("Payable = %d, %v", a, err)
		}
		token := s.card(t, p, nil)
		card, product, seen, err := b.service.VerifyCard(t.Context(), sandbox, token)
		if err != nil {
			t.Fatal(err)
		}
		if card.SKU != "bread" || card.Price != tenEuro || card.Confirm != merchant.ConfirmServer || !card.IssuedAt.Equal(noon) {
			t.Errorf("the card says %+v", card)
		}
		if diff := cmp.Diff(p, product); diff != "" || seen.ID != s.ID || seen.EndpointURL != s.EndpointURL {
			t.Errorf("the card's product differs: %s", diff)
		}
		if _, err := b.service.Suspend(t.Context(), operator, s.ID, true); err != nil {
			t.Fatal(err)
		}
		wants(t, "a suspended merchant's card", verify(t, b.service, token), merchant.ErrSuspended)
		if keys, m, err := b.service.Keys(t.Context(), s.ID); err != nil || m != sandbox || keys.ByID(s.signing.ID) == nil {
			t.Errorf("a suspended merchant cannot call for its refunds: %v", err)
		}
		if _, err := b.service.Suspend(t.Context(), operator, s.ID, false); err != nil {
			t.Fatal(err)
		}
		wants(t, "the card of a merchant that sells again", verify(t, b.service, token), nil)
		if n := count(t, db, "SELECT count(*) FROM audit_entries WHERE subject_id = $1 AND actor = 'operator:ops'", s.ID); n != 3 {
			t.Errorf("%d acts of the operator were recorded, want 3", n)
		}
	})
}

func TestService_Register_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		signing, opening := newKey(t, jose.ES256), newKey(t, jose.RSAOAEP256)
		good := string(jwks(signing, opening))
		private, err := signing.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		b.server.publish(signing)
		down := newKeyServer(t)
		down.fail()
		for _, c := range []struct {
			name    string
			change  func(*merchant.Registration)
			refusal *errs.Error
		}{
			{"all well", func(*merchant.Registration) {}, nil},
			{"no name", func(r *merchant.Registration) { r.Name = " " }, merchant.ErrText},
			{"long name", func(r *merchant.Registration) { r.Name = strings.Repeat("x", 201) }, merchant.ErrText},
			{"control character", func(r *merchant.Registration) { r.Name = "a\x00b" }, merchant.ErrText},
			{"plain http to the world", func(r *merchant.Registration) { r.EndpointURL = "http://10.0.0.1/" }, merchant.ErrURL},
			{"no URL", func(r *merchant.Registration) { r.EndpointURL = "" }, merchant.ErrURL},
			{"metadata service", func(r *merchant.Registration) { r.EndpointURL = "https://169.254.169.254/" }, merchant.ErrURL},
			{"no keys", func(r *merchant.Registration) { r.JWKS = "" }, merchant.ErrKeys},
			{"keys twice", func(r *merchant.Registration) { r.JWKSURL = b.server.url }, merchant.ErrKeys},
			{"no JSON", func(r *merchant.Registration) { r.JWKS = "keys" }, merchant.ErrKeys},
			{"no signing key", func(r *merchant.Registration) { r.JWKS = string(jwks(opening)) }, merchant.ErrKeys},
			{"no encryption key", func(r *merchant.Registration) { r.JWKS = string(jwks(signing)) }, merchant.ErrKeys},
			{"algorithm that is not accepted", func(r *merchant.Registration) { r.JWKS = string(jwks(newKey(t, "ES384"), opening)) }, merchant.ErrKeys},
			{"private key", func(r *merchant.Registration) { r.JWKS = `{"keys":[` + string(private) + `]}` }, merchant.ErrKeys},
			{"published without an encryption key", func(r *merchant.Registration) { r.JWKS, r.JWKSURL = "", b.server.url }, merchant.ErrKeys},
			{"keys' URL down", func(r *merchant.Registration) { r.JWKS, r.JWKSURL = "", down.url }, merchant.ErrKeysUnreachable},
			{"keys' URL not allowed", func(r *merchant.Registration) { r.JWKS, r.JWKSURL = "", "https://10.0.0.1/" }, merchant.ErrURL},
		} {
			r := merchant.Registration{Name: "Baker", EndpointURL: "https://baker.example/", JWKS: good}
			c.change(&r)
			_, err := b.service.Register(t.Context(), operator, r)
			wants(t, c.name, err, c.refusal)
		}
		for _, v := range []auth.Viewer{{}, {Kind: auth.User}, {Kind: auth.Merchant}} {
			_, err := b.service.Register(t.Context(), v, merchant.Registration{})
			wants(t, v.Kind.String(), err, errs.ErrForbidden)
		}
		if n := count(t, db, "SELECT count(*) FROM merchants"); n != 1 {
			t.Errorf("refused registrations left %d merchants", n-1)
		}
	})
}

func TestService_Update(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		var told []auth.Revocation
		b.service = b.process(t, db, func(_ context.Context, r auth.Revocation) { told = append(told, r) })
		s, other := b.sell(t, ""), b.sell(t, "")
		p := b.offer(t, s, "bread", tenEuro)
		name := " Bäcker "
		m, err := b.service.Update(t.Context(), s.viewer, id.Nil, merchant.Change{Name: &name})
		if err != nil || m.Name != "Bäcker" || len(told) != 0 {
			t.Fatalf("renamed as %q, %v, revoked %v", m.Name, err, told)
		}
		card := s.card(t, p, nil)
		wants(t, "card before the change of keys", verify(t, b.service, card), nil)
		old := s.signing
		s.signing = newKey(t, jose.RS256)
		given := string(jwks(s.signing, s.opening))
		if _, err := b.service.Update(t.Context(), operator, s.ID, merchant.Change{JWKS: &given}); err != nil {
			t.Fatal(err)
		}
		wants(t, "verified card of the key that is gone", verify(t, b.service, card), merchant.ErrCardInvalid)
		wants(t, "card of the new key", verify(t, b.service, s.card(t, p, nil)), nil)
		if len(told) != 1 || told[0].MerchantID != s.ID {
			t.Errorf("after the change of keys the tokens of %v were revoked", told)
		}
		for _, c := range []struct {
			name    string
			viewer  auth.Viewer
			id      id.ID
			refusal *errs.Error
		}{
			{"another merchant", other.viewer, s.ID, merchant.ErrNotFound},
			{"operator without an id", operator, id.Nil, merchant.ErrNotFound},
			{"operator of another mode", auth.Viewer{Kind: auth.Operator, Mode: mode.Live}, s.ID, merchant.ErrNotFound},
			{"nobody", operator, id.New(), merchant.ErrNotFound},
			{"user", auth.Viewer{Kind: auth.User, Mode: sandbox}, s.ID, errs.ErrForbidden},
		} {
			_, err := b.service.Update(t.Context(), c.viewer, c.id, merchant.Change{Name: &name})
			wants(t, c.name, err, c.refusal)
		}
		bad, both := "http://10.0.0.1/", string(jwks(old))
		for _, c := range []struct {
			name    string
			change  merchant.Change
			refusal *errs.Error
		}{
			{"endpoint", merchant.Change{EndpointURL: &bad}, merchant.ErrURL},
			{"keys' URL", merchant.Change{JWKSURL: &bad}, merchant.ErrURL},
			{"half a key set", merchant.Change{JWKS: &both}, merchant.ErrKeys},
			{"keys twice", merchant.Change{JWKS: &given, JWKSURL: &b.server.url}, merchant.ErrKeys},
		} {
			_, err := b.service.Update(t.Context(), s.viewer, s.ID, c.change)
			wants(t, c.name, err, c.refusal)
		}
	})
}

func TestService_Suspend_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, "")
		_, err := b.service.Suspend(t.Context(), s.viewer, s.ID, true)
		wants(t, "the merchant itself", err, errs.ErrForbidden)
		_, err = b.service.Suspend(t.Context(), auth.Viewer{Kind: auth.Service, Mode: sandbox}, s.ID, true)
		wants(t, "the chat app's server", err, errs.ErrForbidden)
		_, err = b.service.Suspend(t.Context(), operator, id.New(), true)
		wants(t, "nobody", err, merchant.ErrNotFound)
	})
}

func TestService_Put(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, "")
		three := int64(3)
		first := b.offer(t, s, "bread", tenEuro)
		again, err := b.service.Put(t.Context(), s.viewer, merchant.Offer{
			SKU: "bread", Name: "Rye", Description: "dark\r\nand sour", Price: money.Amount{Minor: 900, Currency: money.EUR}, Stock: &three,
		})
		if err != nil || again.ID != first.ID || again.Description != "dark\nand sour" || *again.Stock != 3 {
			t.Fatalf("changed to %+v, %v", again, err)
		}
		stored, err := b.service.BySKU(t.Context(), s.ID, "bread")
		if diff := cmp.Diff(again, stored); err != nil || diff != "" {
			t.Errorf("stored otherwise: %v %s", err, diff)
		}
		if again = b.offer(t, s, "bread", tenEuro); again.Stock != nil {
			t.Error("the stock is still counted")
		}
		if _, err := b.service.Withdraw(t.Context(), s.viewer, first.ID); err != nil {
			t.Fatal(err)
		}
		if again = b.offer(t, s, "bread", tenEuro); !again.Available() {
			t.Error("a withdrawn product cannot be offered again")
		}
		less := int64(-1)
		for _, c := range []struct {
			name    string
			change  func(*merchant.Offer)
			refusal *errs.Error
		}{
			{"no SKU", func(o *merchant.Offer) { o.SKU = "" }, merchant.ErrText},
			{"SKU with space around", func(o *merchant.Offer) { o.SKU = " x" }, merchant.ErrText},
			{"long SKU", func(o *merchant.Offer) { o.SKU = strings.Repeat("x", 101) }, merchant.ErrText},
			{"no name", func(o *merchant.Offer) { o.Name = "" }, merchant.ErrText},
			{"long description", func(o *merchant.Offer) { o.Description = strings.Repeat("x", 2001) }, merchant.ErrText},
			{"free", func(o *merchant.Offer) { o.Price.Minor = 0 }, merchant.ErrPrice},
			{"unknown currency", func(o *merchant.Offer) { o.Price.Currency = 1 }, merchant.ErrPrice},
			{"another currency", func(o *merchant.Offer) { o.Price.Currency = money.USD }, merchant.ErrPrice},
			{"less than nothing", func(o *merchant.Offer) { o.Stock = &less }, merchant.ErrStock},
		} {
			o := merchant.Offer{SKU: "bread", Name: "Bread", Price: tenEuro}
			c.change(&o)
			_, err := b.service.Put(t.Context(), s.viewer, o)
			wants(t, c.name, err, c.refusal)
		}
		_, err = b.service.Put(t.Context(), operator, merchant.Offer{})
		wants(t, "an operator", err, errs.ErrForbidden)
	})
}

func TestService_Put_ManyAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		s := b.sell(t, "")
		second := b.process(t, testkit.OpenStore(t, url), nil)
		var all sync.WaitGroup
		for i := range 12 {
			service := []*merchant.Service{b.service, second}[i%2]
			all.Go(func() {
				_, err := service.Put(t.Context(), s.viewer, merchant.Offer{SKU: "bread", Name: "Bread", Price: tenEuro})
				wants(t, "one of many", err, nil)
			})
		}
		all.Wait()
		if n := count(t, b.db, "SELECT count(*) FROM products"); n != 1 {
			t.Errorf("%d products of one SKU", n)
		}
		if n := count(t, b.db, "SELECT count(*) FROM accounts"); n != 1 {
			t.Errorf("%d accounts of one currency", n)
		}
	})
}

func TestService_Withdraw_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s, other := b.sell(t, ""), b.sell(t, "")
		p := b.offer(t, s, "bread", tenEuro)
		_, err := b.service.Withdraw(t.Context(), other.viewer, p.ID)
		wants(t, "another merchant", err, merchant.ErrProductNotFound)
		_, err = b.service.Withdraw(t.Context(), s.viewer, id.New())
		wants(t, "no product", err, merchant.ErrProductNotFound)
		_, err = b.service.Withdraw(t.Context(), operator, p.ID)
		wants(t, "an operator", err, errs.ErrForbidden)
	})
}

func TestService_ByMerchant_Pages(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, "")
		buyer := auth.Viewer{Kind: auth.User, Mode: sandbox}
		for _, sku := range []string{"a", "b", "c", "d"} {
			p := b.offer(t, s, sku, tenEuro)
			if sku == "b" {
				if _, err := b.service.Withdraw(t.Context(), s.viewer, p.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		list := func(v auth.Viewer, sl page.Slice) (string, page.List[merchant.Product]) {
			l, err := b.service.ByMerchant(t.Context(), v, s.ID, sl)
			if err != nil {
				t.Fatal(err)
			}
			var skus string
			for _, p := range l.Items {
				skus += p.SKU
			}
			return skus, l
		}
		got, first := list(buyer, page.Slice{Limit: 2})
		if got != "dc" || !first.HasNext {
			t.Errorf("a buyer's first page is %q", got)
		}
		if got, rest := list(buyer, page.Slice{Limit: 2, After: merchant.ProductPosition(first.Items[1])}); got != "a" || rest.HasNext {
			t.Errorf("a buyer's next page is %q", got)
		}
		if got, _ := list(s.viewer, page.Slice{Limit: 3, Backward: true}); got != "cba" {
			t.Errorf("the merchant's last page is %q", got)
		}
		if got, _ := list(auth.Viewer{Kind: auth.User, Mode: mode.Live}, page.Slice{Limit: 9}); got != "" {
			t.Errorf("in another mode there is %q", got)
		}
	})
}

func TestService_Visible(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, "")
		p := b.offer(t, s, "bread", tenEuro)
		for _, c := range []struct {
			viewer auth.Viewer
			want   int
		}{
			{auth.Viewer{Kind: auth.User, Mode: sandbox}, 1}, {operator, 1},
			{auth.Viewer{Kind: auth.User, Mode: mode.Live}, 0}, {auth.Viewer{Mode: sandbox}, 0},
		} {
			merchants, err := b.service.Visible(t.Context(), c.viewer, []id.ID{s.ID, id.New()})
			if err != nil || len(merchants) != c.want {
				t.Errorf("%s sees %d merchants, %v", c.viewer.Kind, len(merchants), err)
			}
			products, err := b.service.VisibleProducts(t.Context(), c.viewer, []id.ID{p.ID, id.New()})
			if err != nil || len(products) != c.want {
				t.Errorf("%s sees %d products, %v", c.viewer.Kind, len(products), err)
			}
		}
		if found, err := b.service.ByIDs(t.Context(), []id.ID{s.ID}); err != nil || cmp.Diff(found[s.ID].Name, "Baker") != "" {
			t.Errorf("ByIDs: %v", err)
		}
		if found, err := b.service.ProductsByIDs(t.Context(), []id.ID{p.ID}); err != nil || cmp.Diff(found[p.ID], p) != "" {
			t.Errorf("ProductsByIDs: %v", err)
		}
		if merchant.SeesInside(auth.Viewer{Kind: auth.User}, id.Nil) || !merchant.SeesInside(s.viewer, s.ID) || merchant.SeesInside(s.viewer, id.New()) {
			t.Error("the wrong ones see inside a merchant")
		}
	})
}

func TestService_Pseudonym(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		user, one, other := id.New(), id.New(), id.New()
		name := b.service.Pseudonym(user, one)
		if len(name) != 43 || name != b.process(t, db, nil).Pseudonym(user, one) {
			t.Errorf("the pseudonym %q is not stable", name)
		}
		if name == b.service.Pseudonym(user, other) || name == b.service.Pseudonym(id.New(), one) {
			t.Error("two have one pseudonym")
		}
	})
}
