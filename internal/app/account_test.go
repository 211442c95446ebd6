package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
	"github.com/soukhq/souk/internal/testkit"
)

const (
	userByExternalID = `query UserByExternalId($name: String!) { userByExternalId(externalId: $name) { id displayName status mode } }`
	userBlock        = `mutation UserBlock($input: UserBlockInput!) { userBlock(input: $input) { user { id status } userErrors { code message field } } }`
	userRemove       = `mutation UserRemove($input: UserRemoveInput!) { userRemove(input: $input) { user { id status } userErrors { code message field } } }`
	userErase        = `mutation UserErase($input: UserEraseInput!) { userErase(input: $input) { user { id status displayName } userErrors { code message field } } }`
	userTokensRevoke = `mutation UserTokensRevoke($input: UserTokensRevokeInput!) { userTokensRevoke(input: $input) { user { id } userErrors { code message } } }`
	conversationEnd  = `mutation ConversationRemove($input: ConversationRemoveInput!) {
  conversationRemove(input: $input) { removedConversationId userErrors { code message field } }
}`
	viewerShow = `query ViewerShow {
  viewer {
    mode
    user { id displayName status }
    merchant { id }
    contacts(first: 10) { nodes { id displayName } }
    conversations(first: 10) { nodes { id title members(first: 10) { nodes { id } } } }
  }
}`
)

// named is anything with an id.
type named struct{ ID string }

func (n named) id() string { return n.ID }

// ids are the ids of a list.
func ids[T interface{ id() string }](list []T) (all []string) {
	for _, one := range list {
		all = append(all, one.id())
	}
	return all
}

// view is what viewerShow tells.
type view struct {
	Viewer *struct {
		Mode          string
		User          *struct{ ID, DisplayName, Status string }
		Merchant      *named
		Contacts      *struct{ Nodes []named }
		Conversations *struct {
			Nodes []struct {
				named
				Members struct{ Nodes []named }
			}
		}
	}
}

func (b *testBundle) view(t *testing.T, token string) (v view) {
	t.Helper()
	b.ask(t, token, viewerShow, nil, &v)
	return v
}

// The chat app's server tells who there is; its users see it at once.
func TestProvisioning(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice, bob := b.user(t, "Alice"), b.user(t, "Bob")
		var again struct {
			User    struct{ ID, DisplayName string }
			Created bool
		}
		b.do(t, b.service, driver.UserProvision, map[string]any{"externalId": alice.Subject, "displayName": "Alicia"}, &again)
		if again.Created || again.User.ID != alice.ID || again.User.DisplayName != "Alicia" {
			t.Errorf("provisioned again: %+v", again)
		}
		contact := func(state string) {
			b.do(t, b.service, driver.ContactSet, map[string]any{"userId": alice.ID, "contactId": bob.ID, "state": state}, nil)
		}
		contact("CONTACT")
		talk := b.talk(t, alice, bob)
		v := b.view(t, bob.Token).Viewer
		if v.Mode != "SANDBOX" || v.User.ID != bob.ID || v.Merchant != nil || !slices.Equal(ids(v.Contacts.Nodes), []string{alice.ID}) {
			t.Errorf("Bob sees %+v", v)
		}
		if list := v.Conversations.Nodes; len(list) != 1 || list[0].ID != talk || !slices.Equal(ids(list[0].Members.Nodes), []string{alice.ID, bob.ID}) {
			t.Errorf("Bob's conversations are %+v", list)
		}
		contact("BLOCKED")
		contact("NONE")
		if v := b.view(t, bob.Token).Viewer; len(v.Contacts.Nodes) != 0 {
			t.Errorf("Bob still has %+v", v.Contacts)
		}
		b.do(t, b.service, conversationEnd, map[string]any{"conversationId": talk}, nil)
		if v := b.view(t, bob.Token).Viewer; len(v.Conversations.Nodes) != 0 {
			t.Errorf("Bob is still in %+v", v.Conversations)
		}
		var out struct {
			UserByExternalID *struct{ ID, Status, DisplayName string } `json:"userByExternalId"`
		}
		b.ask(t, b.service, userByExternalID, map[string]any{"name": alice.Subject}, &out)
		if u := out.UserByExternalID; u == nil || u.ID != alice.ID || u.Status != "ACTIVE" {
			t.Errorf("by name: %+v", u)
		}
		b.ask(t, b.service, userByExternalID, map[string]any{"name": "nobody"}, &out)
		if out.UserByExternalID != nil {
			t.Errorf("nobody is %+v", out.UserByExternalID)
		}
	})
}

// A token of a user who is blocked or removed is no good, and a removed one does
// not come back.
func TestProvisioning_BlockAndRemove(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		alice := b.user(t, "Alice")
		block := func(blocked bool) {
			b.do(t, b.service, userBlock, map[string]any{"userId": alice.ID, "blocked": blocked}, nil)
		}
		bob := b.user(t, "Bob")
		b.do(t, b.service, driver.ContactSet, map[string]any{"userId": alice.ID, "contactId": bob.ID, "state": "CONTACT"}, nil)
		status := func(token string) string {
			t.Helper()
			var out struct{ Node struct{ Status string } }
			b.ask(t, token, `query($id: ID!) { node(id: $id) { ... on User { status } } }`, map[string]any{"id": alice.ID}, &out)
			return out.Node.Status
		}
		block(true)
		wantFault(t, b.api.Do(ctx, alice.Token, viewerShow, nil, nil), "UNAUTHENTICATED")
		if toBob, toServer := status(bob.Token), status(b.service); toBob != "ACTIVE" || toServer != "BLOCKED" {
			t.Errorf("to a friend Alice is %s, to the chat app %s; want ACTIVE and BLOCKED", toBob, toServer)
		}
		block(false)
		b.view(t, alice.Token)
		b.do(t, b.service, userRemove, map[string]any{"userId": alice.ID}, nil)
		wantFault(t, b.api.Do(ctx, alice.Token, viewerShow, nil, nil), "UNAUTHENTICATED")
		_, err := b.api.ProvisionUser(ctx, b.service, alice.Subject, "Alice")
		wantRefusal(t, err, "USER_GONE")
		for _, document := range []string{userBlock, userRemove, userErase} {
			in := map[string]any{"userId": "nobody"}
			if document == userBlock {
				in["blocked"] = true
			}
			wantRefusal(t, b.api.Mutate(ctx, b.service, document, in, nil), "USER_NOT_FOUND")
		}
	})
}

const statementShow = `query StatementShow($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
  node(id: $id) {
    ... on FundingSource {
      available { amountMinor currency }
      statement(first: $first, after: $after, last: $last, before: $before) {
        nodes { transferId reversesId kind at amount { amountMinor currency } order { id } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }
  }
}`

// line is a line of a statement.
type line struct {
	TransferID string
	ReversesID *string
	Kind       string
	Amount     driver.Money
	Order      *named
}

type pageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       *string
}

// statement is a page of a wallet's statement.
func (b *testBundle) statement(t *testing.T, p *person, paging map[string]any) ([]line, pageInfo) {
	t.Helper()
	paging["id"] = p.Wallet
	var out struct {
		Node *struct {
			Statement struct {
				Nodes    []line
				PageInfo pageInfo
			}
		}
	}
	b.ask(t, p.Token, statementShow, paging, &out)
	if out.Node == nil {
		t.Fatal("the wallet is not there")
	}
	return out.Node.Statement.Nodes, out.Node.Statement.PageInfo
}

func TestStatement(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		tea := b.buy(t, alice, shop.card(t, "TEA"))
		if _, err := b.api.GiveBack(t.Context(), shop.token(t), newKey(), tea.ID, driver.Euro(100)); err != nil {
			t.Fatal(err)
		}
		mug := b.buy(t, alice, shop.card(t, "MUG"))
		all, info := b.statement(t, alice, map[string]any{"first": 10})
		want := []line{
			{Kind: "PURCHASE", Amount: driver.Euro(-mugPrice), Order: &named{mug.ID}},
			{Kind: "REFUND", Amount: driver.Euro(100), Order: &named{tea.ID}},
			{Kind: "PURCHASE", Amount: driver.Euro(-teaPrice), Order: &named{tea.ID}},
			{Kind: "TOP_UP", Amount: driver.Euro(5000)},
		}
		if len(all) != len(want) || info.HasNextPage || info.HasPreviousPage {
			t.Fatalf("the statement is %+v, %+v", all, info)
		}
		for i, l := range all {
			sameOrder := l.Order == want[i].Order || l.Order != nil && want[i].Order != nil && *l.Order == *want[i].Order
			if l.Kind != want[i].Kind || l.Amount != want[i].Amount || !sameOrder {
				t.Errorf("line %d is %+v, want %+v", i, l, want[i])
			}
		}
		if refund, payment := all[1], all[2]; refund.ReversesID == nil || *refund.ReversesID != payment.TransferID || payment.ReversesID != nil {
			t.Errorf("the refund %+v does not name the payment %+v", refund, payment)
		}
		var forward, backward []line
		for paging := map[string]any{"first": 3}; ; {
			page, info := b.statement(t, alice, paging)
			if forward = append(forward, page...); !info.HasNextPage {
				break
			}
			paging["after"] = info.EndCursor
		}
		for paging := map[string]any{"last": 3}; ; {
			page, info := b.statement(t, alice, paging)
			if backward = append(slices.Clone(page), backward...); !info.HasPreviousPage {
				break
			}
			paging["before"] = info.StartCursor
		}
		same := func(a, b line) bool { return a.TransferID == b.TransferID }
		if !slices.EqualFunc(all, forward, same) || !slices.EqualFunc(all, backward, same) {
			t.Errorf("page by page the statement is %+v, and from the end %+v", forward, backward)
		}
	})
}

const (
	walletReturn = `mutation WalletReturn($input: WalletReturnInput!) {
  walletReturn(input: $input) { fundingTransfer { id state direction topUp { id } amount { amountMinor currency } } replayed userErrors { code message field retry } }
}`
	fundingTransfers = `query FundingTransfers {
  viewer { fundingTransfers(first: 20) { nodes { id state direction failureCode returned { amountMinor currency } source { id } } } }
}`
	fundingSourceRemove = `mutation FundingSourceRemove($input: FundingSourceRemoveInput!) {
  fundingSourceRemove(input: $input) { removedFundingSourceId userErrors { code message field } }
}`
)

// fundingTransfer is money between a wallet and a bank.
type fundingTransfer struct {
	ID, State, Direction string
	FailureCode          *string
	Returned             driver.Money
}

func (b *testBundle) fundingTransfers(t *testing.T, p *person) []fundingTransfer {
	t.Helper()
	var out struct {
		Viewer struct {
			FundingTransfers struct{ Nodes []fundingTransfer }
		}
	}
	b.ask(t, p.Token, fundingTransfers, nil, &out)
	return out.Viewer.FundingTransfers.Nodes
}

// Banks take their time, refuse, and take back; the wallet follows.
func TestWallet(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		alice := b.rich(t, "Alice", 0)
		state := func(token string, cents int64) string {
			bank, err := b.api.AddSource(ctx, alice.Token, "CARD", "My "+token+" card", token)
			if err != nil {
				t.Fatal(err)
			}
			state, err := b.api.TopUp(ctx, alice.Token, newKey(), bank, driver.Euro(cents))
			if err != nil {
				t.Fatal(err)
			}
			return state
		}
		for token, want := range map[string]string{"ok": "SUCCEEDED", "declined": "FAILED", "slow": "PENDING", "returned": "SUCCEEDED"} {
			if got := state(token, 1000); got != want {
				t.Errorf("a top-up by a card that is %s is %s, want %s", token, got, want)
			}
		}
		b.advance(t, time.Minute)
		testkit.Eventually(t, ctx, func() error {
			for _, f := range b.fundingTransfers(t, alice) {
				if f.State == "PENDING" {
					return errors.New("a top-up is still pending")
				}
			}
			if b.number(t, `SELECT count(*) FROM funding_transfers WHERE mode = $1 AND state = 'RETURNED'`, b.sandbox) == 0 {
				return errors.New("the bank has not taken its money back")
			}
			return nil
		})
		b.wantWallet(t, alice, 2000, 0) // of the one and of the slow one
	})
}

// What was paid in can be given back, once, and not what is held or spent.
func TestWallet_Return(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 2000)
		topUp := b.fundingTransfers(t, alice)[0].ID
		giveBack := func(cents int64) error {
			in := map[string]any{"idempotencyKey": newKey(), "topUpId": topUp}
			if cents != 0 {
				in["amount"] = driver.Euro(cents)
			}
			return b.api.Mutate(ctx, alice.Token, walletReturn, in, nil)
		}
		o := b.pending(t, alice, shop, "TEA")
		b.leavesNothing(t, func() { wantRefusal(t, giveBack(2000-teaPrice+1), "INSUFFICIENT_FUNDS") })
		if err := giveBack(2000 - teaPrice); err != nil {
			t.Fatal(err)
		}
		b.wantWallet(t, alice, teaPrice, teaPrice)
		if _, _, err := b.api.Cancel(ctx, alice.Token, newKey(), o.ID); err != nil {
			t.Fatal(err)
		}
		if err := giveBack(0); err != nil {
			t.Fatal(err)
		}
		b.wantWallet(t, alice, 0, 0)
		b.leavesNothing(t, func() { wantRefusal(t, giveBack(1), "TOP_UP_NOT_RETURNABLE", "topUpId") })
		if list := b.fundingTransfers(t, alice); len(list) != 3 || list[2].Returned != driver.Euro(2000) || list[0].Direction != "RETURN" {
			t.Errorf("the transfers are %+v", list)
		}
	})
}

func TestWallet_Sources(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		alice, bob := b.rich(t, "Alice", 100), b.rich(t, "Bob", 100)
		b.leavesNothing(t, func() {
			_, err := b.api.AddSource(ctx, alice.Token, "WALLET", "Another", "")
			wantRefusal(t, err, "FUNDING_SOURCE_LIMIT")
			_, err = b.api.AddSource(ctx, alice.Token, "CREDIT_LINE", "Mine", "")
			wantRefusal(t, err, "FUNDING_SOURCE_KIND")
			_, err = b.api.AddSource(ctx, alice.Token, "CARD", " ", "ok")
			wantRefusal(t, err, "TEXT_INVALID")
			_, err = b.api.TopUp(ctx, alice.Token, newKey(), bob.Bank, driver.Euro(1))
			wantRefusal(t, err, "FUNDING_SOURCE_NOT_FOUND")
			_, err = b.api.TopUp(ctx, alice.Token, newKey(), alice.Wallet, driver.Euro(1))
			wantRefusal(t, err, "FUNDING_SOURCE_KIND")
			err = b.api.Mutate(ctx, alice.Token, fundingSourceRemove, map[string]any{"fundingSourceId": bob.Bank}, nil)
			wantRefusal(t, err, "FUNDING_SOURCE_NOT_FOUND")
			err = b.api.Mutate(ctx, alice.Token, fundingSourceRemove, map[string]any{"fundingSourceId": alice.Wallet}, nil)
			wantRefusal(t, err, "FUNDING_SOURCE_KIND")
		})
		b.do(t, alice.Token, fundingSourceRemove, map[string]any{"fundingSourceId": alice.Bank}, nil)
		_, err := b.api.TopUp(ctx, alice.Token, newKey(), alice.Bank, driver.Euro(1))
		wantRefusal(t, err, "FUNDING_SOURCE_NOT_FOUND")
	})
}

const creditLineSet = `mutation CreditLineSet($input: CreditLineSetInput!) {
  creditLineSet(input: $input) {
    fundingSource { id kind creditLimit { amountMinor currency } }
    userErrors { code message field retry }
  }
}`

const creditLineShow = `query CreditLineShow($id: ID!) {
  node(id: $id) { ... on FundingSource { kind balance { amountMinor currency } available { amountMinor currency } creditLimit { amountMinor currency } } }
}`

func TestCreditLine(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.user(t, "Alice")
		set := func(token string, cents int64) (string, error) {
			var out struct{ FundingSource *named }
			err := b.api.Mutate(ctx, token, creditLineSet, map[string]any{"userId": alice.ID, "limit": driver.Euro(cents)}, &out)
			if err != nil {
				return "", err
			}
			return out.FundingSource.ID, nil
		}
		for _, token := range []string{alice.Token, b.service} {
			_, err := set(token, 1)
			wantFault(t, err, "FORBIDDEN")
		}
		credit, err := set(b.operator, 2000)
		if err != nil {
			t.Fatal(err)
		}
		alice.Wallet = credit // it pays like one
		wantState(t, b.buy(t, alice, shop.card(t, "TEA")), "PAID")
		b.wantWallet(t, alice, -teaPrice, 0)
		b.leavesNothing(t, func() {
			_, _, err = b.api.Buy(ctx, alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "TEA"), Source: credit})
			wantRefusal(t, err, "INSUFFICIENT_FUNDS")
			_, err = set(b.operator, teaPrice-1)
			wantRefusal(t, err, "INSUFFICIENT_FUNDS")
		})
		if again, err := set(b.operator, teaPrice); err != nil || again != credit {
			t.Errorf("a lower limit: %s, %v", again, err)
		}
		var out struct {
			Node struct {
				Kind                            string
				Balance, Available, CreditLimit driver.Money
			}
		}
		b.ask(t, alice.Token, creditLineShow, map[string]any{"id": credit}, &out)
		if n := out.Node; n.Kind != "CREDIT_LINE" || n.Balance != driver.Euro(-teaPrice) || n.Available != driver.Euro(0) || n.CreditLimit != driver.Euro(teaPrice) {
			t.Errorf("the credit line is %+v", n)
		}
		b.wantEarned(t, shop, teaPrice)
	})
}

const personalData = `query PersonalData { viewer { personalData } }`

// All that is held about a user can be taken away by them, and be forgotten; the
// books stay.
func TestPrivacy(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice, bob := b.shop(t, 10), b.rich(t, "Alice", 2000), b.user(t, "Bob")
		b.do(t, b.service, driver.ContactSet, map[string]any{"userId": alice.ID, "contactId": bob.ID, "state": "CONTACT"}, nil)
		talk := b.talk(t, alice, bob)
		b.say(t, alice, talk, "My secret is 4711.")
		o := b.buy(t, alice, shop.card(t, "TEA"))

		data := b.personalData(t, alice)
		for _, part := range []string{"user", "devices", "contacts", "chat", "wallet", "orders"} {
			if len(data[part]) == 0 {
				t.Errorf("the export lacks %s", part)
			}
		}
		for part, want := range map[string]string{"user": alice.Subject, "contacts": bob.ID, "chat": "My secret is 4711.", "wallet": alice.Wallet, "orders": o.ID} {
			if !strings.Contains(string(data[part]), want) {
				t.Errorf("the export's %s lacks %s: %s", part, want, data[part])
			}
		}
		b.settled(t)
		erase := func() error {
			return b.api.Mutate(ctx, b.service, userErase, map[string]any{"userId": alice.ID}, nil)
		}
		b.leavesNothing(t, func() { wantRefusal(t, erase(), "USER_HAS_FUNDS") })
		topUp := b.fundingTransfers(t, alice)[0].ID
		b.do(t, alice.Token, walletReturn, map[string]any{"idempotencyKey": newKey(), "topUpId": topUp, "amount": driver.Euro(2000 - teaPrice)}, nil)
		transfers := b.rows(t)["transfers"]
		if err := erase(); err != nil {
			t.Fatal(err)
		}
		wantFault(t, b.api.Do(ctx, alice.Token, viewerShow, nil, nil), "UNAUTHENTICATED")
		if after := b.rows(t); after["transfers"] != transfers || after["orders"] != 1 || after["contacts"] != 0 {
			t.Errorf("after the erasure there are %+v", after)
		}
		b.wantEarned(t, shop, teaPrice)
		if got := b.order(t, shop.token(t), o.ID); got == nil || got.State != "PAID" {
			t.Errorf("to the merchant the order is %+v", got)
		}
		for _, m := range b.messages(t, bob, talk) {
			if strings.Contains(m.Text, "4711") || m.Sender != nil && m.Sender.DisplayName == "Alice" {
				t.Errorf("Bob still reads %+v", m)
			}
		}
	})
}

// Whoever is erased leaves no debt and no money behind, however close it is.
func TestPrivacy_EraseAgainstMoney(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop := b.shop(t, 1000)
		card := shop.cardBy(t, "TEA", merchantsim.ConfirmByCard)
		for round := range 12 {
			p := b.user(t, fmt.Sprint("Buyer ", round))
			var line struct{ FundingSource named }
			b.do(t, b.operator, creditLineSet, map[string]any{"userId": p.ID, "limit": driver.Euro(5000)}, &line)
			bank, err := b.api.AddSource(ctx, p.Token, "BANK_ACCOUNT", "Bank", "ok")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.api.AddSource(ctx, p.Token, "WALLET", "Wallet", ""); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var erased error
			all.Go(func() { erased = b.api.Mutate(ctx, b.service, userErase, map[string]any{"userId": p.ID}, nil) })
			all.Go(func() {
				_, _, _ = b.api.Buy(ctx, p.Token, driver.Purchase{Key: newKey(), Card: card, Source: line.FundingSource.ID})
			})
			all.Go(func() { _, _ = b.api.TopUp(ctx, p.Token, newKey(), bank, driver.Euro(100)) })
			all.Wait()
			if erased != nil {
				wantRefusal(t, erased, "USER_HAS_FUNDS")
				continue
			}
			owner := orderKey(t, p.ID)
			if n := b.number(t, `SELECT count(*) FROM accounts WHERE owner_id = $1 AND (balance_minor <> 0 OR held_minor <> 0)`, owner); n != 0 {
				t.Errorf("round %d: an erased user has %d accounts that are not empty", round, n)
			}
			if n := b.number(t, `SELECT count(*) FROM funding_transfers WHERE user_id = $1 AND state = 'PENDING'`, owner); n != 0 {
				t.Errorf("round %d: an erased user has %d transfers under way", round, n)
			}
		}

		// What was paid before stays with the merchant: there is no account any more.
		alice := b.rich(t, "Alice", teaPrice)
		o := b.buy(t, alice, shop.card(t, "TEA"))
		b.settled(t)
		b.do(t, b.service, userErase, map[string]any{"userId": alice.ID}, nil)
		b.leavesNothing(t, func() {
			_, err := b.api.GiveBack(ctx, shop.token(t), newKey(), o.ID, driver.Euro(1))
			wantRefusal(t, err, "BUYER_GONE")
		})
	})
}

func (b *testBundle) personalData(t *testing.T, p *person) (data map[string]json.RawMessage) {
	t.Helper()
	var out struct{ Viewer struct{ PersonalData string } }
	b.ask(t, p.Token, personalData, nil, &out)
	if err := json.Unmarshal([]byte(out.Viewer.PersonalData), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

const messageSend = `mutation MessageSend($input: MessageSendInput!) {
  messageSend(input: $input) { message { id seq text } userErrors { code message field retry } }
}`

// say writes a message.
func (b *testBundle) say(t *testing.T, p *person, conversation, text string) message {
	t.Helper()
	var out struct{ Message message }
	b.do(t, p.Token, messageSend, map[string]any{"conversationId": conversation, "text": text, "idempotencyKey": newKey()}, &out)
	return out.Message
}
