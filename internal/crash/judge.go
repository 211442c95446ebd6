package crash

import (
	"fmt"
	"maps"
	"slices"

	"github.com/soukhq/souk/internal/merchantsim"
)

// Rule is what can be broken.
type Rule string

// The rules, by what breaks them.
const (
	ChargedTwice Rule = "charged twice"
	Forgotten    Rule = "lost"
	Endless      Rule = "without an end"
	Unheard      Rule = "webhooks missing"
	Misheard     Rule = "webhooks wrong"
	Unreceipted  Rule = "receipts missing"
	Receipted    Rule = "receipts wrong"
	Unconfirmed  Rule = "paid without the merchant's yes"
	Unreleased   Rule = "merchants left in error"
	Unbalanced   Rule = "wallets off"
	Miscounted   Rule = "stock off"
	Misanswered  Rule = "wrong answers"
	Broken       Rule = "processes or ledger broken"
)

// rules gives them in the order in which they are shown.
var rules = []Rule{ChargedTwice, Forgotten, Endless, Unheard, Misheard, Unreceipted, Receipted, Unconfirmed, Unreleased, Unbalanced, Miscounted, Misanswered, Broken}

// Finding is a broken rule.
type Finding struct {
	Rule   Rule
	Detail string
}

// purchased is all that a journal tells of one idempotency key.
type purchased struct {
	key, who, sku string
	price         int64
	byCard        bool
	orders        map[string]bool
	barred        bool // a reversal said that nothing will ever come of it
}

// ordered is all that is known of one order.
type ordered struct {
	*purchased
	id      string
	paid    bool   // it was answered as paid at some time
	ended   string // as which it was answered to have ended unpaid
	refunds map[string]int64
	told    *Entry
	// receipts are how many of each state stand in the conversation.
	receipts map[string]int
	story    *merchantsim.Story
}

// judging is a judgement under way.
type judging struct {
	facts
	Verdict
	keys   map[string]*purchased
	orders map[string]*ordered
	topUps map[string]Entry  // last answer, by key
	gifts  map[string]string // refunds by key
}

// judge holds what the API tells at the end, and what the merchants saw, against
// what the clients sent and heard.
func judge(f facts) Verdict {
	j := &judging{facts: f, keys: map[string]*purchased{}, orders: map[string]*ordered{}, topUps: map[string]Entry{}, gifts: map[string]string{}}
	j.Counts = map[Count]int64{}
	j.readIntents()
	j.readAnswers()
	j.readTold()
	j.readMerchants()
	for _, k := range slices.Sorted(maps.Keys(j.keys)) {
		j.judgeKey(j.keys[k])
	}
	for _, id := range slices.Sorted(maps.Keys(j.orders)) {
		j.judgeOrder(j.orders[id])
	}
	j.judgeWallets()
	j.judgeStock()
	for _, fault := range f.faults {
		j.find(Broken, "%s", fault)
	}
	return j.Verdict
}

func (j *judging) find(r Rule, format string, args ...any) {
	j.Findings = append(j.Findings, Finding{r, fmt.Sprintf(format, args...)})
}

// wasPaid tells whether an order in this state was paid.
func wasPaid(state string) bool {
	return state == "PAID" || state == "PARTIALLY_REFUNDED" || state == "REFUNDED"
}

// endedUnpaid tells whether an order in this state has ended without payment.
func endedUnpaid(state string) bool {
	return state == "DECLINED" || state == "CANCELLED" || state == "EXPIRED"
}

func (j *judging) judgeKey(k *purchased) {
	switch {
	case len(k.orders) > 1:
		j.find(ChargedTwice, "key %s of %s made %d orders: %v", k.key, k.who, len(k.orders), slices.Sorted(maps.Keys(k.orders)))
	case k.barred && len(k.orders) > 0:
		j.find(ChargedTwice, "key %s of %s was never to be charged after its reversal, and made an order: %v", k.key, k.who, slices.Sorted(maps.Keys(k.orders)))
	}
}

func (j *judging) judgeOrder(o *ordered) {
	if o.told == nil {
		j.find(Forgotten, "order %s of %s, key %s, was accepted and is not known any more", o.id, o.who, o.key)
		return
	}
	state := o.told.State
	j.countOrder(o)
	switch {
	case state == "AUTHORISED":
		j.find(Endless, "order %s of %s, %s, key %s", o.id, o.who, o.sku, o.key)
	case o.paid && !wasPaid(state):
		j.find(Forgotten, "order %s of %s, key %s, was paid and is now %s", o.id, o.who, o.key, state)
	case o.ended != "" && o.ended != state:
		j.find(Forgotten, "order %s of %s, key %s, had ended as %s and is now %s", o.id, o.who, o.key, o.ended, state)
	}
	if o.told.Amount != o.price {
		j.find(ChargedTwice, "order %s of %s, key %s, costs %d and not %d", o.id, o.who, o.key, o.told.Amount, o.price)
	}
	if given := sum(o.refunds); given != o.told.Refunded {
		j.find(Unbalanced, "order %s of %s: its merchant gave %d back, the API tells of %d", o.id, o.who, given, o.told.Refunded)
	}
	j.judgeReceipts(o, state)
	j.judgeMerchant(o, state)
}

func sum(of map[string]int64) (all int64) {
	for _, n := range of {
		all += n
	}
	return all
}

// judgeReceipts looks at what the buyer's conversation shows of an order.
func (j *judging) judgeReceipts(o *ordered, state string) {
	want := map[string]int{"PAID": 0, "DECLINED": 0, "CANCELLED": 0, "EXPIRED": 0}
	switch {
	case wasPaid(state):
		want["PAID"] = 1
	case endedUnpaid(state):
		want[state] = 1
	}
	have := maps.Clone(o.receipts)
	// Of two refunds at once either receipt may say that all was given back.
	have["refunds"], want["refunds"] = have["PARTIALLY_REFUNDED"]+have["REFUNDED"], len(o.refunds)
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		switch n := have[kind]; {
		case n < want[kind]:
			j.find(Unreceipted, "order %s of %s, %s: %d of %d %s", o.id, o.who, state, n, want[kind], kind)
		case n > want[kind]:
			j.find(Receipted, "order %s of %s, %s: %d %s, not %d", o.id, o.who, state, n, kind, want[kind])
		}
	}
}

// judgeMerchant looks at what the merchant said and heard of an order.
func (j *judging) judgeMerchant(o *ordered, state string) {
	story := o.story
	if story == nil {
		story = &merchantsim.Story{}
	}
	paid := wasPaid(state)
	want := map[string]int{"order.paid": 0, "order.refunded": len(o.refunds), "order.declined": 0, "order.cancelled": 0, "order.expired": 0}
	switch {
	case paid:
		want["order.paid"] = 1
	case endedUnpaid(state):
		want["order."+lower[state]] = 1
	}
	for _, event := range slices.Sorted(maps.Keys(want)) {
		n := story.Events[event]
		switch {
		case n < want[event]:
			j.find(Unheard, "order %s of %s, %s: %d of %d %s", o.id, o.who, state, n, want[event], event)
		case n > want[event]:
			j.find(Misheard, "order %s of %s, %s: %d %s under different ids, not %d", o.id, o.who, state, n, event, want[event])
		}
	}
	switch {
	case paid && !o.byCard && story.Confirmed == 0:
		j.find(Unconfirmed, "order %s of %s, %s", o.id, o.who, o.sku)
	case paid && story.Declined > 0:
		j.find(Unconfirmed, "order %s of %s, %s: the merchant declined", o.id, o.who, o.sku)
	case paid && story.Released > 0:
		j.find(Unreleased, "order %s of %s is paid, and its merchant was told that it is off", o.id, o.who)
	case endedUnpaid(state) && story.Confirmed > 0 && story.Released == 0:
		j.find(Unreleased, "order %s of %s, %s, was confirmed and not released", o.id, o.who, state)
	}
}

var lower = map[string]string{"DECLINED": "declined", "CANCELLED": "cancelled", "EXPIRED": "expired"}

// judgeWallets adds up, to the cent, what every wallet must hold.
func (j *judging) judgeWallets() {
	want := map[string]int64{}
	for _, e := range j.topUps {
		switch e.State {
		case "SUCCEEDED":
			want[e.Who] += e.Amount
			j.Counts[TopUps]++
		case "PENDING":
			j.find(Endless, "top-up %s of %s", e.Key, e.Who)
		default:
			j.find(Misanswered, "top-up %s of %s is %s", e.Key, e.Who, e.State)
		}
	}
	for _, o := range j.orders {
		if o.told != nil && wasPaid(o.told.State) {
			want[o.who] -= o.price - sum(o.refunds)
		}
	}
	for _, e := range j.told {
		if e.Act != ActWallet {
			continue
		}
		if e.Held != 0 {
			j.find(Unbalanced, "%d is still held in the wallet of %s", e.Held, e.Who)
		}
		switch less := want[e.Who] - e.Amount; {
		case less > 0:
			j.find(ChargedTwice, "the wallet of %s lacks %d", e.Who, less)
		case less < 0:
			j.find(Unbalanced, "the wallet of %s has %d too much", e.Who, -less)
		}
	}
}

// judgeStock counts the units that are left of what there was.
func (j *judging) judgeStock() {
	left := maps.Clone(j.stock)
	for _, o := range j.orders {
		if o.told != nil && !endedUnpaid(o.told.State) && j.stock[o.sku] > 0 {
			left[o.sku]--
		}
	}
	for _, e := range j.told {
		if e.Act == ActStock && e.Amount != left[e.SKU] {
			j.find(Miscounted, "%s has %d %s left, and should have %d", e.Who, e.Amount, e.SKU, left[e.SKU])
		}
	}
	for sku, n := range left {
		if n < 0 {
			j.find(Miscounted, "%d %s too many were sold", -n, sku)
		}
	}
}
