package purchase_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/testkit"
)

// losing is a book whose first writes lose a race: the batch is run again.
type losing struct{ races int }

var twice = store.NewInsert("counters", "id text", "value bigint")

func (l *losing) Reset()           {}
func (l *losing) Lock(*store.Pipe) {}
func (l *losing) Mark()            {}
func (l *losing) Rollback()        {}
func (l *losing) Write(p *store.Pipe) {
	if l.races > 0 {
		l.races--
		p.Write(twice, 2, []string{"x", "x"}, []int64{1, 1})
	}
}

// A batch that is run again leaves an order as if it had been run once.
func TestService_Create_RunAgain(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		book := purchase.NewBook()
		x := ledger.NewExecutor(b.db, b.clock, b.outbox, slog.New(slog.DiscardHandler), book, &losing{races: 2})
		t.Cleanup(x.Close)
		s, err := purchase.New(purchase.Config{ConfirmWithin: time.Minute, InlineWait: 5 * time.Second}, purchase.Deps{
			DB: b.db, Clock: b.clock, Log: slog.New(slog.DiscardHandler), Executor: x, Book: book,
			Cards: b, Sources: b, Conversations: b, Merchants: b.server, Tellers: b.tellers,
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Create(t.Context(), b.buyer, b.input("k1", "confirmed"))
		if err != nil || len(d.Order.Timeline) != 1 {
			t.Errorf("the order is %+v, %v", d.Order, err)
		}
		b.stands(t, 8750, 0, 1250, 2)
	})
}

// A yes after the end is answered by one release, whatever went before.
func TestService_Confirm_AfterTheEnd(t *testing.T) {
	t.Parallel()
	for before, forward := range map[string]struct {
		times  int
		answer error
	}{
		"nothing":           {0, nil},
		"an answer refused": {1, purchase.ErrAnswer},
		"a long silence":    {60, errors.New("away")},
	} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			testkit.Engines(t, func(t *testing.T, db *store.DB) {
				b := setup(t, db)
				b.server.confirm = later
				o := b.buy(t, "k1", "card").Order
				b.server.confirm = func(purchase.Order) (purchase.Answer, error) { return purchase.Answer{}, forward.answer }
				for range forward.times {
					if err := b.service.Forward(t.Context(), o.ID); err != nil {
						t.Fatal(err)
					}
				}
				b.server.answers["no"] = purchase.Answer{MerchantID: o.MerchantID, OrderID: o.ID}
				b.server.answers["yes"] = purchase.Answer{MerchantID: o.MerchantID, OrderID: o.ID, Confirmed: true, Total: o.Total()}
				if _, err := b.service.Confirm(t.Context(), "no"); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if _, err := b.service.Confirm(t.Context(), "yes"); !errors.Is(err, purchase.ErrAnswerLate) {
						t.Errorf("want ORDER_ENDED, got %v", err)
					}
				}
				releases := slices.DeleteFunc(b.topics(t), func(topic string) bool { return topic != purchase.TopicRelease })
				if len(releases) != 1 {
					t.Errorf("the merchant is told %d times to release", len(releases))
				}
				b.stands(t, 10_000, 0, 0, 3)
			})
		})
	}
}
