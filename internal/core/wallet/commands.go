package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// made is the stored result of a transfer.
type made struct {
	Transfer id.ID `json:"transfer"`
}

func (m made) encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("wallet: result does not encode: %v", err)) // ids always do
	}
	return b
}

// topUp records a top-up that its rail is about to be asked for.
type topUp struct {
	book     *Book
	key      ledger.Key
	transfer Transfer
	lease    time.Duration // nobody else asks the rail before

	after Transfer
}

func (c *topUp) Key() ledger.Key { return c.key }

// Want locks the wallet, which is closed when its owner is erased: there would be
// nobody to ask the rail for then.
func (c *topUp) Want(b *ledger.Batch) { b.WantAccount(c.transfer.Account) }

func (c *topUp) Decide(b *ledger.Batch) ([]byte, error) {
	switch into, err := b.Account(c.transfer.Account); {
	case err != nil:
		return nil, err
	case into.Closed:
		return nil, ErrNoWallet
	}
	c.after = c.transfer.begun(b.Now(c.transfer.Mode), c.lease)
	c.book.transfers.Add(row{Transfer: c.after})
	return made{c.after.ID}.encode(), nil
}

// begun is a new transfer whose rail is asked by whoever began it.
func (t Transfer) begun(at time.Time, lease time.Duration) Transfer {
	check := at.Add(lease)
	t.State, t.CheckAt, t.CreatedAt, t.UpdatedAt = Pending, &check, at, at
	return t
}

// giveBack records a return that its rail is about to be asked for, and holds
// the money.
type giveBack struct {
	book   *Book
	key    ledger.Key
	topUp  Transfer      // as it was read; only what never changes is used
	amount *money.Amount // none: all that is left
	id     id.ID
	lease  time.Duration

	after Transfer
}

func (c *giveBack) Key() ledger.Key { return c.key }

func (c *giveBack) Want(b *ledger.Batch) {
	c.book.transfers.Want(c.topUp.ID)
	b.WantAccount(c.topUp.Account)
}

func (c *giveBack) Decide(b *ledger.Batch) ([]byte, error) {
	from, ok := c.book.get(c.topUp.ID)
	if !ok {
		return nil, ErrTopUp
	}
	left := from.returnable()
	minor := left
	if c.amount != nil {
		minor = c.amount.Minor
	}
	switch {
	case left == 0:
		return nil, ErrNotReturnable
	case minor > left:
		return nil, ErrAmount.With(errs.RetryNewKey) // a smaller one may do
	}
	at := b.Now(from.Mode)
	h, err := b.Hold(ledger.Hold{Account: from.Account, Amount: minor, SubjectID: c.id, ExpiresAt: at.Add(holdFor), CreatedAt: at})
	if errors.Is(err, ledger.ErrAccountClosed) {
		return nil, ErrTopUp // its owner was erased in this moment
	}
	if err != nil {
		return nil, err
	}
	from.ReturnedMinor += minor
	from.UpdatedAt = at
	c.book.set(from)
	t := Transfer{
		ID: c.id, Mode: from.Mode, UserID: from.UserID, SourceID: from.SourceID, Direction: Return, Account: from.Account,
		Amount: money.Amount{Minor: minor, Currency: from.Amount.Currency}, Rail: from.Rail, HoldID: &h.ID, TopUpID: &from.ID,
	}
	c.after = t.begun(at, c.lease)
	c.book.transfers.Add(row{Transfer: c.after})
	return made{c.after.ID}.encode(), nil
}

// settle writes down what a rail has answered.
type settle struct {
	book     *Book
	transfer Transfer // as it was read; only what never changes is used
	answer   Answer
	clearing ledger.AccountID // of the rail
	owed     ledger.AccountID // the user's KindReceivable; 0 unless a top-up may be taken back

	after Transfer
}

func (c *settle) Key() ledger.Key { return ledger.Key{} }

func (c *settle) Want(b *ledger.Batch) {
	t := c.transfer
	c.book.transfers.Want(t.ID)
	if t.TopUpID != nil {
		c.book.transfers.Want(*t.TopUpID)
	}
	if t.HoldID != nil {
		b.WantHold(*t.HoldID)
	}
	b.WantAccount(t.Account)
	b.WantAccount(c.clearing)
	if c.owed != 0 {
		b.WantAccount(c.owed)
	}
}

// errRow says that a transfer is not as every transfer is.
var errRow = errors.New("wallet: a transfer, or what it belongs to, is not there")

func (c *settle) Decide(b *ledger.Batch) ([]byte, error) {
	t, ok := c.book.get(c.transfer.ID)
	if !ok {
		return nil, errRow
	}
	c.after = t
	if t.ended() {
		return nil, nil // another was faster
	}
	out, at := c.answer.Outcome, b.Now(t.Mode)
	was := t.State
	t.UpdatedAt = at
	if c.answer.Reference != "" {
		t.Reference = c.answer.Reference
	}
	var err error
	switch {
	case was == Pending && out == OutcomeFailed:
		err = c.fail(b, &t)
	case was == Pending && (out == OutcomeSucceeded || out == OutcomeReturned):
		err = c.succeed(b, &t)
	}
	// Some rails say FAILED of what they take back after they said SUCCEEDED.
	if err == nil && t.State == Succeeded && (out == OutcomeReturned || out == OutcomeFailed) {
		err = c.takeBack(b, &t)
	}
	if err != nil {
		return nil, err
	}
	c.schedule(&t, at)
	c.book.set(t)
	c.after = t
	return nil, nil
}

// succeed moves the money.
func (c *settle) succeed(b *ledger.Batch, t *Transfer) error {
	t.State = Succeeded
	if t.Direction == TopUp {
		filled, err := b.Transfer(c.movement(*t, c.clearing, t.Account, t.Amount.Minor, transferTopUp))
		t.TransferID = &filled.ID
		return err
	}
	from, ok := c.book.get(*t.TopUpID)
	if !ok {
		return errRow
	}
	m := c.movement(*t, t.Account, c.clearing, t.Amount.Minor, transferReturn)
	m.Reverses = from.TransferID
	given, err := b.Capture(*t.HoldID, m)
	t.TransferID = &given.ID
	return err
}

// fail moves nothing; a return's money is free again.
func (c *settle) fail(b *ledger.Batch, t *Transfer) error {
	t.State, t.FailureCode = Failed, c.answer.FailureCode
	if t.Direction == TopUp {
		return nil
	}
	if err := b.Release(*t.HoldID, ledger.HoldVoided); err != nil {
		return err
	}
	return c.restore(*t)
}

// takeBack undoes what had succeeded.
func (c *settle) takeBack(b *ledger.Batch, t *Transfer) error {
	t.State, t.FailureCode = Returned, c.answer.FailureCode
	if t.Direction == Return {
		m := c.movement(*t, c.clearing, t.Account, t.Amount.Minor, transferCameBack)
		m.Reverses = t.TransferID
		if _, err := b.Transfer(m); err != nil {
			return err
		}
		return c.restore(*t)
	}
	wallet, err := b.Account(t.Account)
	if err != nil {
		return err
	}
	free := min(max(wallet.Available(), 0), t.Amount.Minor)
	for _, part := range []struct {
		from  ledger.AccountID
		minor int64
	}{{t.Account, free}, {c.owed, t.Amount.Minor - free}} {
		if part.minor == 0 {
			continue
		}
		if _, err := b.Transfer(c.movement(*t, part.from, c.clearing, part.minor, transferTakenBack)); err != nil {
			return err
		}
	}
	return nil
}

// restore makes what a return did not give back returnable again.
func (c *settle) restore(t Transfer) error {
	from, ok := c.book.get(*t.TopUpID)
	if !ok {
		return errRow
	}
	from.ReturnedMinor -= t.Amount.Minor
	from.UpdatedAt = t.UpdatedAt
	c.book.set(from)
	return nil
}

func (c *settle) movement(t Transfer, from, to ledger.AccountID, minor int64, kind string) ledger.Transfer {
	return ledger.Transfer{Debit: from, Credit: to, Amount: minor, Kind: kind, SubjectID: t.ID, At: t.UpdatedAt}
}

// schedule says when to ask the rail again, if at all.
func (c *settle) schedule(t *Transfer, at time.Time) {
	t.CheckAt = nil
	final := t.State == Succeeded && c.answer.Outcome == OutcomeSucceeded && c.answer.CheckIn == 0
	if final || t.State == Failed || t.State == Returned {
		return
	}
	wait := c.answer.CheckIn
	if wait == 0 {
		wait = checkWait(t.CheckCount)
	}
	next := at.Add(wait)
	t.CheckAt = &next
	t.CheckCount++
}

// refusal remembers under its key that a command was refused before it came to
// the ledger, or answers what the key remembers.
type refusal struct {
	key ledger.Key
	why error
}

func (c *refusal) Key() ledger.Key                      { return c.key }
func (c *refusal) Want(*ledger.Batch)                   {}
func (c *refusal) Decide(*ledger.Batch) ([]byte, error) { return nil, c.why }
