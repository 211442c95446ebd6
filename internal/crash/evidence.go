package crash

import (
	"strings"

	"github.com/soukhq/souk/internal/merchantsim"
)

// The functions here sort the lines of all logs by what they are about, and find
// what is wrong with a line by itself.

// readIntents learns what clients meant to buy, and which of their acts have no
// answer.
func (j *judging) readIntents() {
	type act struct {
		who string
		act Act
		key string
	}
	open := map[act]int{}
	for _, e := range j.journals {
		a := act{e.Who, e.Act, e.Key}
		switch e.Step {
		case Intent:
			open[a]++
			if e.Act == ActBuy && j.keys[e.Key] == nil {
				j.keys[e.Key] = &purchased{key: e.Key, who: e.Who, sku: e.SKU, price: e.Amount, byCard: e.ByCard, orders: map[string]bool{}}
			}
		case Answer, Left:
			open[a]--
		}
	}
	for a, n := range open {
		if n > 0 {
			j.find(Forgotten, "%s %s of %s was never answered", a.act, a.key, a.who)
		}
	}
}

// allowed says which refusals an act may meet.
var allowed = map[Act]map[string]bool{
	ActBuy:    {"REVERSED": true, "OUT_OF_STOCK": true},
	ActMisuse: {"IDEMPOTENCY_MISMATCH": true, "REVERSED": true},
	ActCancel: {"ORDER_STATE": true},
}

// readAnswers learns what clients heard.
func (j *judging) readAnswers() {
	for _, e := range j.journals {
		if e.Step == Lost && strings.HasPrefix(e.Why, codeInternal) {
			j.find(Misanswered, "%s %s of %s met a fault that Souk does not know: %s", e.Act, e.Key, e.Who, e.Why)
		}
		if e.Step != Answer {
			continue
		}
		if e.Code != "" && !allowed[e.Act][e.Code] || e.Code == "OUT_OF_STOCK" && j.stock[e.SKU] == 0 {
			j.find(Misanswered, "%s %s of %s (%s%s): %s", e.Act, e.Key, e.Who, e.SKU, e.Of, e.Code)
		}
		switch e.Act {
		case ActBuy:
			j.answered(e.Key, e)
		case ActReverse:
			j.reversed(e)
		case ActMisuse:
			if e.Code == "" {
				j.find(ChargedTwice, "key %s of %s was taken for another purchase: order %s", e.Key, e.Who, e.Order)
			}
		case ActCancel:
			j.seen(e.Order, e)
		case ActRefund:
			j.refunded(e)
		case ActTopUp:
			if e.Code == "" {
				j.topUps[e.Key] = e
			}
		}
	}
}

// answered takes in an order that a key has made.
func (j *judging) answered(key string, e Entry) {
	k := j.keys[key]
	if k == nil || e.Order == "" {
		return
	}
	k.orders[e.Order] = true
	if j.orders[e.Order] == nil {
		j.orders[e.Order] = &ordered{purchased: k, id: e.Order, refunds: map[string]int64{}, receipts: map[string]int{}}
	}
	j.seen(e.Order, e)
}

// seen takes in a state of an order.
func (j *judging) seen(order string, e Entry) {
	o := j.orders[order]
	if o == nil || e.Code != "" {
		return
	}
	if wasPaid(e.State) {
		o.paid = true
	}
	if endedUnpaid(e.State) {
		o.ended = e.State
	}
}

func (j *judging) reversed(e Entry) {
	j.Counts[Reversals]++
	switch k := j.keys[e.Of]; {
	case k != nil && e.Outcome == "NEVER_CHARGED" && e.Order == "":
		k.barred = true
	case e.Outcome == "PAID" && wasPaid(e.State), e.Outcome == "NOT_CHARGED" && endedUnpaid(e.State):
		j.answered(e.Of, e)
	case e.Code == "":
		j.find(Misanswered, "reversal %s of %s says %s of an order that is %q", e.Key, e.Who, e.Outcome, e.State)
	}
}

func (j *judging) refunded(e Entry) {
	o := j.orders[e.Of]
	if o == nil || e.Code != "" {
		return
	}
	// Keys of two merchants may be the same.
	name := e.Who + "/" + e.Key
	if before := j.gifts[name]; before != "" && before != e.Refund {
		j.find(ChargedTwice, "key %s of %s made two refunds: %s and %s", e.Key, e.Who, before, e.Refund)
	}
	j.gifts[name] = e.Refund
	o.refunds[e.Refund] = e.Amount
}

// readTold learns what the API tells buyers at the end.
func (j *judging) readTold() {
	for _, e := range j.told {
		o := j.orders[e.Order]
		switch {
		case e.Act == ActReceipt && o != nil:
			o.receipts[e.State]++
		case e.Act != ActOrder:
		case o == nil:
			j.find(ChargedTwice, "order %s of %s, %s, came from no purchase that its buyer knows of", e.Order, e.Who, e.State)
		case o.who != e.Who:
			j.find(Misanswered, "order %s of %s is told to %s", e.Order, o.who, e.Who)
		case o.told != nil:
			j.find(Misanswered, "order %s of %s is told twice", e.Order, e.Who)
		default:
			o.told = &e
		}
	}
}

// mayRefuse says for what a product server may turn a true message of Souk's
// away, so that it comes again: it could not fetch Souk's keys from a server that
// was down.
const mayRefuse = "KEYS_UNREACHABLE"

// lateCodes are what Souk may say to an answer that was brought to it.
var lateCodes = map[string]bool{"ORDER_ENDED": true, "ORDER_STATE": true}

// readMerchants learns what the merchants saw.
func (j *judging) readMerchants() {
	for name, log := range j.merchants {
		for _, e := range log {
			switch {
			case e.Kind == merchantsim.Webhook && e.Verdict != merchantsim.Verified:
				j.find(Misheard, "%s: %s is not signed as it should be: %s", name, e.MessageID, e.Verdict)
			case e.Kind == merchantsim.Webhook && e.Again:
				j.Counts[Repeats]++
			case e.Kind == merchantsim.Webhook:
				j.Counts[Webhooks]++
			case e.Kind == merchantsim.Refused && e.Code != mayRefuse:
				j.find(Misanswered, "%s turned a message away: %s: %s", name, e.Code, e.Verdict)
			case e.Kind == merchantsim.Called && e.Status/100 == 4 && !lateCodes[e.Code]:
				j.find(Misanswered, "%s: its answer for order %s was refused: %d %s", name, e.OrderID, e.Status, e.Code)
			}
		}
		for id, story := range merchantsim.Stories(log) {
			if o := j.orders[id]; o != nil {
				o.story = story
			} else if story.Events["order.paid"] > 0 {
				j.find(ChargedTwice, "%s was paid for order %s, which came from no purchase that a buyer knows of", name, id)
			}
		}
	}
}
