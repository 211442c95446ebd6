package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
)

// Book is a domain's part in a batch: its locked rows and what was decided about
// them. The executor drives it from one goroutine.
//
// A new batch begins with Reset. Commands then want rows; Lock queues one
// locking read a table, keys in order. Around each command stand Mark and, if it
// is refused, Rollback. Write queues the bulk writes. A Book is usually a few
// [Table]s.
type Book interface {
	Reset()
	Lock(p *store.Pipe)
	Mark()
	Rollback()
	Write(p *store.Pipe)
}

// Command is one act that moves value. The executor calls Want and then, in the
// order of arrival, Decide, which looks only at locked rows. Both are called again
// when a batch is run again: they must start from the command as it was given,
// whatever an earlier run has left in it.
type Command interface {
	// Key says under which idempotency key it is remembered; the zero Key is for
	// Souk's own acts, which a state guards against repetition.
	Key() Key
	// Want names the rows that Decide will look at.
	Want(b *Batch)
	// Decide makes its changes in the books and answers with what a repetition
	// will be answered, too. A refusal (an *errs.Error) takes its changes back
	// and is remembered; any other error fails the command without a trace.
	Decide(b *Batch) (result []byte, err error)
}

// Batch is what a command sees of the ledger while it decides.
type Batch struct {
	clock     clock.Clock
	accounts  *Table[AccountID, Account]
	holds     *Table[id.ID, Hold]
	transfers *Table[id.ID, Transfer]
	events    *Table[id.ID, outbox.Event]
	keys      *Table[id.ID, keyRow]
	known     map[id.ID]keyRow
}

func newBatch(c clock.Clock) *Batch {
	return &Batch{
		clock:     c,
		accounts:  NewTable[AccountID, Account](cmp.Compare[int64]),
		holds:     NewTable[id.ID, Hold](CompareIDs),
		transfers: NewTable[id.ID, Transfer](CompareIDs),
		events:    NewTable[id.ID, outbox.Event](CompareIDs),
		keys:      NewTable[id.ID, keyRow](CompareIDs),
		known:     map[id.ID]keyRow{},
	}
}

// CompareIDs orders ids as both engines do.
func CompareIDs(a, b id.ID) int { return slices.Compare(a[:], b[:]) }

// Now is the time in a mode.
func (b *Batch) Now(m mode.Mode) time.Time { return b.clock.Now(m) }

// WantAccount asks for an account.
func (b *Batch) WantAccount(a AccountID) { b.accounts.Want(a) }

// WantHold asks for a hold; its account must be asked for, too.
func (b *Batch) WantHold(h id.ID) { b.holds.Want(h) }

// WantKey asks whether another idempotency key was used.
func (b *Batch) WantKey(k id.ID) { b.keys.Want(k) }

// KeyUsed tells whether a key that was asked for was used.
func (b *Batch) KeyUsed(k id.ID) bool { _, ok := b.known[k]; return ok }

// Bar makes a key that was not used answer with a refusal from now on, whatever
// input comes with it.
func (b *Batch) Bar(k id.ID, why *errs.Error) {
	b.keys.Add(keyRow{id: k, hash: []byte{}, result: encodeRefusal(why)})
}

// Account gives a locked account.
func (b *Batch) Account(a AccountID) (Account, error) {
	acc, ok := b.accounts.Get(a)
	if !ok {
		return Account{}, ErrAccountUnknown
	}
	return acc, nil
}

// HoldByID gives a locked hold.
func (b *Batch) HoldByID(h id.ID) (Hold, bool) { return b.holds.Get(h) }

// Emit writes an event for the relay.
func (b *Batch) Emit(e outbox.Event) { b.events.Add(e) }

// Transfer moves value now. It fills in the id and the time if they are not set.
func (b *Batch) Transfer(t Transfer) (Transfer, error) {
	if t.Amount <= 0 {
		return t, ErrAmount
	}
	if !sameRealm(t.Debit, t.Credit) || t.Debit == t.Credit {
		return t, ErrCrossed
	}
	from, err := b.Account(t.Debit)
	if err != nil {
		return t, err
	}
	to, err := b.Account(t.Credit)
	if err != nil {
		return t, err
	}
	if from.Closed || to.Closed {
		return t, ErrAccountClosed
	}
	if from.Available() < t.Amount {
		return t, ErrInsufficientFunds
	}
	if from.Balance, err = money.Add(from.Balance, -t.Amount); err != nil {
		return t, ErrAmount.Because(err)
	}
	if to.Balance, err = money.Add(to.Balance, t.Amount); err != nil {
		return t, ErrAmount.Because(err)
	}
	if !from.fits() {
		return t, ErrAmount
	}
	if t.ID == id.Nil {
		t.ID = id.New()
	}
	if t.At.IsZero() {
		t.At = b.Now(ModeOf(t.Debit))
	}
	b.accounts.Set(from.ID, from)
	b.accounts.Set(to.ID, to)
	b.transfers.Add(t)
	return t, nil
}

// Hold sets a part of an account's balance aside.
func (b *Batch) Hold(h Hold) (Hold, error) {
	if h.Amount <= 0 {
		return h, ErrAmount
	}
	acc, err := b.Account(h.Account)
	if err != nil {
		return h, err
	}
	if acc.Closed {
		return h, ErrAccountClosed
	}
	if acc.Available() < h.Amount {
		return h, ErrInsufficientFunds
	}
	if acc.Held, err = money.Add(acc.Held, h.Amount); err != nil || !acc.fits() {
		return h, ErrAmount.Because(err)
	}
	b.accounts.Set(acc.ID, acc)
	if h.ID == id.Nil {
		h.ID = id.New()
	}
	h.State, h.Captured, h.EndedAt = HoldHeld, 0, nil
	if h.CreatedAt.IsZero() {
		h.CreatedAt = b.Now(ModeOf(h.Account))
	}
	b.holds.Add(h)
	return h, nil
}

// Capture ends a hold by moving up to its amount to another account; what is
// left of it is free again. A command whose capture was refused must be refused
// itself: the hold may have ended in this batch, which only that takes back.
func (b *Batch) Capture(hold id.ID, t Transfer) (Transfer, error) {
	h, ok := b.holds.Get(hold)
	if !ok || h.State != HoldHeld {
		return t, ErrHoldEnded
	}
	if t.Amount > h.Amount {
		return t, ErrHoldExceeded
	}
	if err := b.release(h, HoldCaptured, t.Amount); err != nil {
		return t, err
	}
	t.Debit = h.Account
	return b.Transfer(t)
}

// Release ends a hold without moving anything, as VOIDED or EXPIRED.
func (b *Batch) Release(hold id.ID, as HoldState) error {
	h, ok := b.holds.Get(hold)
	if !ok || h.State != HoldHeld {
		return ErrHoldEnded
	}
	return b.release(h, as, 0)
}

func (b *Batch) release(h Hold, as HoldState, captured int64) error {
	acc, err := b.Account(h.Account)
	if err != nil {
		return err
	}
	acc.Held -= h.Amount
	b.accounts.Set(acc.ID, acc)
	at := b.Now(ModeOf(h.Account))
	h.State, h.Captured, h.EndedAt = as, captured, &at
	b.holds.Set(h.ID, h)
	return nil
}

func (b *Batch) reset() {
	b.accounts.Reset()
	b.holds.Reset()
	b.transfers.Reset()
	b.events.Reset()
	b.keys.Reset()
	clear(b.known)
}

func (b *Batch) mark() {
	b.accounts.Mark()
	b.holds.Mark()
	b.transfers.Mark()
	b.events.Mark()
	b.keys.Mark()
}

func (b *Batch) rollback() {
	b.accounts.Rollback()
	b.holds.Rollback()
	b.transfers.Rollback()
	b.events.Rollback()
	b.keys.Rollback()
}
