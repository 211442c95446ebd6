package crash

import (
	"testing"

	"github.com/soukhq/souk/internal/merchantsim"
)

const buyer, seller = "ada", "steady"

// bought is a purchase that was answered.
func bought(key, sku string, price int64, byCard bool, order, state string) []Entry {
	e := Entry{Act: ActBuy, Who: buyer, Key: key, SKU: sku, Amount: price, ByCard: byCard}
	return both(e, func(e *Entry) { e.Order, e.State = order, state })
}

// both gives the lines of an act before and after.
func both(e Entry, answer func(*Entry)) []Entry {
	before, after := e, e
	before.Step, after.Step = Intent, Answer
	answer(&after)
	return []Entry{before, after}
}

func toldOrder(order, state string, price, refunded int64) Entry {
	return Entry{Step: Told, Act: ActOrder, Who: buyer, Order: order, State: state, Amount: price, Refunded: refunded}
}

func receiptOf(order, state string) Entry {
	return Entry{Step: Told, Act: ActReceipt, Who: buyer, Order: order, State: state}
}

func heard(order, event, id string) merchantsim.Entry {
	return merchantsim.Entry{Kind: merchantsim.Webhook, Verdict: merchantsim.Verified, OrderID: order, Event: event, MessageID: id}
}

func said(order string, d merchantsim.Decision) merchantsim.Entry {
	return merchantsim.Entry{Kind: merchantsim.Answered, OrderID: order, Decision: d}
}

// goodFacts are of a drill in which all went well: o1 was paid by card, o2 was
// confirmed by the merchant and partly given back, o3 was confirmed too late, and
// k4 was reversed before it arrived.
func goodFacts() facts {
	f := facts{stock: map[string]int64{"print": 5}, merchants: map[string][]merchantsim.Entry{}}
	for _, act := range [][]Entry{
		both(Entry{Act: ActTopUp, Who: buyer, Key: "t1", Amount: 1000}, func(e *Entry) { e.State = "SUCCEEDED" }),
		bought("k1", "mug", 300, true, "o1", "PAID"),
		bought("k1", "mug", 300, true, "o1", "PAID"), // sent again
		bought("k2", "print", 200, false, "o2", "AUTHORISED"),
		bought("k3", "lamp", 50, false, "o3", "AUTHORISED"),
		bought("k4", "mug", 300, true, "", ""),
		both(Entry{Act: ActReverse, Who: buyer, Key: "r4", Of: "k4"}, func(e *Entry) { e.Outcome = "NEVER_CHARGED" }),
		both(Entry{Act: ActMisuse, Who: buyer, Key: "k1", SKU: "jam"}, func(e *Entry) { e.Code = "IDEMPOTENCY_MISMATCH" }),
		both(Entry{Act: ActRefund, Who: seller, Key: "g2", Of: "o2", Amount: 70}, func(e *Entry) { e.Order, e.State, e.Refund = "o2", "PARTIALLY_REFUNDED", "f2" }),
	} {
		f.journals = append(f.journals, act...)
	}
	for i, e := range f.journals {
		if e.Key == "k4" && e.Step == Answer {
			f.journals[i].Code = "REVERSED"
		}
	}
	f.told = []Entry{
		toldOrder("o1", "PAID", 300, 0), receiptOf("o1", "PAID"),
		toldOrder("o2", "PARTIALLY_REFUNDED", 200, 70), receiptOf("o2", "PAID"), receiptOf("o2", "PARTIALLY_REFUNDED"),
		toldOrder("o3", "EXPIRED", 50, 0), receiptOf("o3", "EXPIRED"),
		{Step: Told, Act: ActWallet, Who: buyer, Amount: 1000 - 300 - 200 + 70},
		{Step: Told, Act: ActStock, Who: seller, SKU: "print", Amount: 4},
	}
	again := heard("o1", "order.paid", "w1")
	again.Again = true
	f.merchants[seller] = []merchantsim.Entry{
		heard("o1", "order.paid", "w1"), again,
		said("o2", merchantsim.Confirmed), heard("o2", "order.paid", "w2"), heard("o2", "order.refunded", "w3"),
		heard("o3", "order.expired", "w4"), said("o3", merchantsim.Confirmed), {Kind: merchantsim.Released, OrderID: "o3"},
	}
	return f
}

// without takes lines away.
func without[E any](all []E, which func(E) bool) []E {
	var rest []E
	for _, e := range all {
		if !which(e) {
			rest = append(rest, e)
		}
	}
	return rest
}

// change changes what the API tells of an order.
func (f *facts) change(order string, how func(*Entry)) {
	for i := range f.told {
		if f.told[i].Act == ActOrder && f.told[i].Order == order {
			how(&f.told[i])
		}
	}
}

func (f *facts) sees(e ...merchantsim.Entry) { f.merchants[seller] = append(f.merchants[seller], e...) }

func (f *facts) overlooks(which func(merchantsim.Entry) bool) {
	f.merchants[seller] = without(f.merchants[seller], which)
}

func TestJudge_AllWell(t *testing.T) {
	t.Parallel()
	v := judge(goodFacts())
	if !v.OK() {
		t.Errorf("found %v", v.Findings)
	}
	for count, want := range map[Count]int64{Accepted: 3, PaidNow: 1, PaidBack: 1, Expired: 1, Reversals: 1, TopUps: 1, Webhooks: 4, Repeats: 1} {
		if v.Counts[count] != want {
			t.Errorf("%s: %d, want %d", count, v.Counts[count], want)
		}
	}
}

func TestJudge_Findings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken func(*facts)
		want   Rule
	}{
		"a key with two orders": {func(f *facts) {
			f.journals = append(f.journals, bought("k1", "mug", 300, true, "o9", "PAID")...)
		}, ChargedTwice},
		"an order of no key":            {func(f *facts) { f.told = append(f.told, toldOrder("o9", "PAID", 300, 0)) }, ChargedTwice},
		"a merchant paid for no key":    {func(f *facts) { f.sees(heard("o9", "order.paid", "w9")) }, ChargedTwice},
		"a wallet that lacks something": {func(f *facts) { f.told[7].Amount -= 300 }, ChargedTwice},
		"an order that costs more":      {func(f *facts) { f.change("o1", func(e *Entry) { e.Amount = 600 }) }, ChargedTwice},
		"a key with two refunds": {func(f *facts) {
			again := both(Entry{Act: ActRefund, Who: seller, Key: "g2", Of: "o2", Amount: 70}, func(e *Entry) { e.Order, e.Refund = "o2", "f9" })
			f.journals = append(f.journals, again...)
		}, ChargedTwice},
		"a reversed key that was charged": {func(f *facts) {
			f.journals = append(f.journals, bought("k4", "mug", 300, true, "o4", "PAID")...)
		}, ChargedTwice},
		"a key taken for another purchase": {func(f *facts) {
			f.journals = append(f.journals, both(Entry{Act: ActMisuse, Who: buyer, Key: "k2"}, func(e *Entry) { e.Order = "o9" })...)
		}, ChargedTwice},
		"a forgotten order":        {func(f *facts) { f.told = without(f.told, func(e Entry) bool { return e.Order == "o1" }) }, Forgotten},
		"a forgotten payment":      {func(f *facts) { f.change("o1", func(e *Entry) { e.State = "EXPIRED" }) }, Forgotten},
		"a call without an answer": {func(f *facts) { f.journals = f.journals[:len(f.journals)-1] }, Forgotten},
		"an open order":            {func(f *facts) { f.change("o3", func(e *Entry) { e.State = "AUTHORISED" }) }, Endless},
		"an open top-up":           {func(f *facts) { f.journals[1].State = "PENDING" }, Endless},
		"an unheard payment":       {func(f *facts) { f.overlooks(func(e merchantsim.Entry) bool { return e.MessageID == "w1" }) }, Unheard},
		"an unheard refund":        {func(f *facts) { f.overlooks(func(e merchantsim.Entry) bool { return e.MessageID == "w3" }) }, Unheard},
		"an unheard end":           {func(f *facts) { f.overlooks(func(e merchantsim.Entry) bool { return e.MessageID == "w4" }) }, Unheard},
		"a webhook under two ids":  {func(f *facts) { f.sees(heard("o1", "order.paid", "w9")) }, Misheard},
		"a webhook of what is not": {func(f *facts) { f.sees(heard("o3", "order.paid", "w9")) }, Misheard},
		"a webhook signed wrongly": {func(f *facts) { f.sees(merchantsim.Entry{Kind: merchantsim.Webhook, Verdict: "no matching signature"}) }, Misheard},
		"a missing receipt":        {func(f *facts) { f.told = without(f.told, func(e Entry) bool { return e == receiptOf("o1", "PAID") }) }, Unreceipted},
		"a second receipt":         {func(f *facts) { f.told = append(f.told, receiptOf("o1", "PAID")) }, Receipted},
		"a payment without a yes": {func(f *facts) {
			f.overlooks(func(e merchantsim.Entry) bool { return e.OrderID == "o2" && e.Kind == merchantsim.Answered })
		}, Unconfirmed},
		"a payment against a no":     {func(f *facts) { f.sees(said("o2", merchantsim.Declined)) }, Unconfirmed},
		"a yes that is not released": {func(f *facts) { f.overlooks(func(e merchantsim.Entry) bool { return e.Kind == merchantsim.Released }) }, Unreleased},
		"a payment that is released": {func(f *facts) { f.sees(merchantsim.Entry{Kind: merchantsim.Released, OrderID: "o2"}) }, Unreleased},
		"money that is held":         {func(f *facts) { f.told[7].Held = 1 }, Unbalanced},
		"a wallet with too much":     {func(f *facts) { f.told[7].Amount++ }, Unbalanced},
		"a refund that is not told":  {func(f *facts) { f.change("o2", func(e *Entry) { e.Refunded = 0 }) }, Unbalanced},
		"a unit too few":             {func(f *facts) { f.told[8].Amount = 3 }, Miscounted},
		"a refusal for no reason": {func(f *facts) {
			f.journals = append(f.journals, both(Entry{Act: ActBuy, Who: buyer, Key: "k9", SKU: "mug"}, func(e *Entry) { e.Code = "OUT_OF_STOCK" })...)
		}, Misanswered},
		"a fault of Souk's": {func(f *facts) {
			f.journals = append(f.journals, Entry{Step: Lost, Act: ActBuy, Who: buyer, Key: "k1", Why: "INTERNAL: Something went wrong (HTTP 200)"})
		}, Misanswered},
		"an answer that is turned away": {func(f *facts) {
			f.sees(merchantsim.Entry{Kind: merchantsim.Called, OrderID: "o2", Status: 400, Code: "ANSWER_INVALID"})
		}, Misanswered},
		"a process that ends": {func(f *facts) { f.faults = []string{"server-1: it ended by itself"} }, Broken},
		"a reversal that is odd": {func(f *facts) {
			f.journals = append(f.journals, both(Entry{Act: ActReverse, Who: buyer, Key: "r9", Of: "k3"}, func(e *Entry) { e.Outcome, e.Order, e.State = "PAID", "o3", "EXPIRED" })...)
		}, Misanswered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := goodFacts()
			c.broken(&f)
			if v := judge(f); !v.Broke(c.want) {
				t.Errorf("%q was not found, but %v", c.want, v.Findings)
			}
		})
	}
}
