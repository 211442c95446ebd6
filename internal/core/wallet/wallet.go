package wallet

import (
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Limits.
const (
	AmountMax  = 1_000_000_000_000 // minor units of a transfer or of a credit limit
	SourcesMax = 20                // funding sources of a user
	LabelMax   = 100               // characters
	TokenMax   = 1024              // bytes of what a rail knows a source by

	// sourcesEver counts those that were removed, too: they are kept, since
	// money may have to go back to them.
	sourcesEver = 200
)

// Kind tells what a funding source is.
type Kind string

// The kinds of funding sources.
const (
	Wallet      Kind = "WALLET"
	CreditLine  Kind = "CREDIT_LINE"
	BankAccount Kind = "BANK_ACCOUNT"
	Card        Kind = "CARD"
)

// behindRail tells whether a rail keeps the books of such a source.
func (k Kind) behindRail() bool { return k == BankAccount || k == Card }

// Source is what a user can pay with.
type Source struct {
	ID        id.ID
	Mode      mode.Mode
	UserID    id.ID
	Kind      Kind
	Label     string
	Currency  money.Currency
	Account   ledger.AccountID // 0: another keeps the books, so it cannot pay by itself
	Rail      string           // of a bank account or card
	CreatedAt time.Time
}

// SourcePosition is where a source stands in its user's list.
func SourcePosition(s Source) []byte { return s.ID[:] }

// Direction is which way a transfer goes.
type Direction string

// The directions.
const (
	TopUp  Direction = "TOP_UP" // into the wallet
	Return Direction = "RETURN" // back to where a top-up came from
)

// State tells how a transfer stands.
type State string

// The states of a transfer.
const (
	Pending   State = "PENDING"
	Succeeded State = "SUCCEEDED"
	Failed    State = "FAILED"
	Returned  State = "RETURNED"
)

// Transfer is money on its way between a wallet and a source behind a rail.
type Transfer struct {
	ID            id.ID
	Mode          mode.Mode
	UserID        id.ID
	SourceID      id.ID
	Direction     Direction
	Account       ledger.AccountID // the wallet
	Amount        money.Amount
	State         State
	Rail          string
	Reference     string // the rail's
	FailureCode   string
	HoldID        *id.ID // of a return
	TopUpID       *id.ID // of a return
	TransferID    *id.ID // the ledger's, once it has succeeded
	ReturnedMinor int64  // of a top-up: what was given back, or is about to be
	CheckAt       *time.Time
	CheckCount    int32
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Returned is how much of a top-up was given back, or is about to be.
func (t Transfer) Returned() money.Amount {
	return money.Amount{Minor: t.ReturnedMinor, Currency: t.Amount.Currency}
}

// TransferPosition is where a transfer stands in its user's list.
func TransferPosition(t Transfer) []byte { return t.ID[:] }

// ended tells whether nothing that the rail may still say changes the transfer.
func (t Transfer) ended() bool { return t.State != Pending && t.CheckAt == nil }

// returnable tells how much of a top-up can still be given back.
func (t Transfer) returnable() int64 {
	if t.Direction != TopUp || t.State != Succeeded {
		return 0
	}
	return t.Amount.Minor - t.ReturnedMinor
}

// checkWait is how long to wait before a rail is asked again: 2, 4, 8… seconds,
// at most an hour.
func checkWait(count int32) time.Duration {
	const most = time.Hour
	if count > 10 {
		return most
	}
	return min(2*time.Second<<count, most)
}

// Kinds of the ledger's transfers.
const (
	transferTopUp     = "TOP_UP"
	transferReturn    = "RETURN"
	transferTakenBack = "TOP_UP_RETURNED" // by the other side
	transferCameBack  = "RETURN_RETURNED" // by the other side
)

// holdFor is longer than any rail takes: the hold of a return ends with the
// rail's answer, never by itself.
const holdFor = 100 * 365 * 24 * time.Hour

// GlobalID is how the outside names it.
func (s Source) GlobalID() string { return id.Global("FundingSource", s.ID) }

// GlobalID is how the outside names it.
func (t Transfer) GlobalID() string { return id.Global("FundingTransfer", t.ID) }
