package purchase

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbox"
)

// Topics of the events that purchases emit. Each carries a [Changed], but
// TopicRelease, whose subject says all.
const (
	TopicPaid      = "order.paid"
	TopicDeclined  = "order.declined"
	TopicCancelled = "order.cancelled"
	TopicExpired   = "order.expired"
	TopicRefunded  = "order.refunded"
	TopicRelease   = "order.release" // the merchant must hear that the order is off
)

// Topics lists the events that merchants may hear of.
func Topics() []string {
	return []string{TopicPaid, TopicDeclined, TopicCancelled, TopicExpired, TopicRefunded}
}

// Changed tells that an order reached a state. Version 1.
type Changed struct {
	Version     int32  `json:"version"` // of the order
	State       State  `json:"state"`
	AmountMinor int64  `json:"amountMinor"` // what moved: the total, or what was refunded
	Refunded    *int64 `json:"refunded"`    // what had gone back by then, minor units; none: not written down
	RefundID    *id.ID `json:"refundId,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

func (o Order) event(topic string, c Changed) outbox.Event {
	c.Version, c.State, c.Refunded = o.Version, o.State, &o.RefundedMinor
	payload, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("purchase: event does not encode: %v", err)) // plain fields always do
	}
	return outbox.Event{ID: id.New(), Mode: o.Mode, Topic: topic, SubjectID: o.ID, Payload: payload, At: o.UpdatedAt}
}

func (o Order) releaseEvent(at time.Time) outbox.Event {
	return outbox.Event{ID: id.Of(TopicRelease, o.ID.String()), Mode: o.Mode, Topic: TopicRelease, SubjectID: o.ID, Payload: json.RawMessage(`{}`), At: at}
}
