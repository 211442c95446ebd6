package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/user"
)

var _ user.Contributor = (*Service)(nil)

func TestService_Blocks(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wantBlocked := func(why string, blocked bool) {
			t.Helper()
			var err error
			_ = b.DB.InTx(t.Context(), func(ctx context.Context) error { // that is not kept
				err = b.Blocks(ctx, b.alice.UserID)
				return errors.New("another day")
			})
			if blocked != (err != nil) || blocked && (!errs.IsRefusal(err) || errs.As(err).Code != "USER_HAS_FUNDS") {
				t.Errorf("%s: %v", why, err)
			}
		}
		wantBlocked("nothing", false)
		_, bank := b.pair(t, b.alice, TokenOK)
		line, err := b.SetCreditLine(t.Context(), operator(1), b.alice.UserID, eur(100))
		if err != nil {
			t.Fatal(err)
		}
		wantBlocked("nothing in it", false)
		top := b.topUp(t, b.alice, bank, 100)
		wantBlocked("a balance", true)
		if _, err := b.giveBack(t, b.alice, top, nil); err != nil {
			t.Fatal(err)
		}
		wantBlocked("all given back", false)
		b.hold(t, line.Account, 1)
		wantBlocked("a hold", true)

		bob := b.user(t, 1)
		b.alice = bob
		_, slow := b.pair(t, bob, TokenSlow)
		b.topUp(t, bob, slow, 100)
		wantBlocked("money on its way", true)

		carol := b.user(t, 1)
		b.alice = carol
		wallet, returned := b.pair(t, carol, TokenReturned)
		b.topUp(t, carol, returned, 100)
		b.spend(t, wallet.Account, 100)
		wantBlocked("what the bank may take back", true)
		b.clock.Advance(time.Hour)
		b.sweep(t)
		wantBlocked("a debt", true)
	})
}

func TestService_Erase(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, "ok")
		bob := b.user(t, 1)
		_, bobs := b.pair(t, bob, "ok")
		b.topUp(t, b.alice, bank, 100)
		if err := b.DB.InTx(t.Context(), func(ctx context.Context) error { return b.Erase(ctx, b.alice.UserID) }); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Source(t.Context(), b.alice.UserID, bank.ID); !errors.Is(err, ErrSource) {
			t.Errorf("the bank account is still there: %v", err)
		}
		if token, err := b.readToken(t.Context(), bank.ID); err != nil || len(token) != 0 {
			t.Errorf("its token is still there: %q, %v", token, err)
		}
		if src, err := b.readSource(t.Context(), wallet.ID); err != nil || src.Label != "" || src.Account != wallet.Account {
			t.Errorf("the wallet is %+v, %v", src, err)
		}
		if token, err := b.openToken(t.Context(), bobs.ID); err != nil || token != "ok" {
			t.Errorf("another's token: %q, %v", token, err)
		}
		b.wantBalance(t, wallet.Account, 100, 0)
		b.wantWhole(t)
	})
}

func TestService_Export(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		b.pair(t, b.user(t, 1), TokenOK)
		_, bank := b.pair(t, b.alice, "secret-token")
		_, card := bank, b.add(t, b.alice, Card, money.EUR, TokenOK)
		for range 120 { // more than a page
			b.topUp(t, b.alice, card, 1)
		}
		b.topUp(t, b.alice, bank, 5)
		if err := b.Remove(t.Context(), b.alice, bank.ID); err != nil {
			t.Fatal(err)
		}
		var got any
		err := b.DB.InSnapshot(t.Context(), func(ctx context.Context) (err error) {
			got, err = b.Export(ctx, b.alice.UserID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(got)
		if err != nil || strings.Contains(string(text), "secret-token") {
			t.Errorf("%s, %v", text, err)
		}
		e := got.(exported)
		if b.Section() != "wallet" || len(e.Sources) != 3 || !e.Sources[1].Removed || len(e.Transfers) != 121 || e.Transfers[120].FailureCode != "unknown_token" ||
			len(e.Accounts) != 1 || len(e.Accounts[0].Movements) != 120 || e.Accounts[0].BalanceMinor != 120 || e.Accounts[0].Truncated {
			t.Errorf("exported %s", text)
		}
		if empty, err := b.Export(t.Context(), b.user(t, 1).UserID); err != nil || !strings.Contains(mustJSON(t, empty), `"fundingSources":[]`) {
			t.Errorf("of nobody much: %v, %v", empty, err)
		}
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
