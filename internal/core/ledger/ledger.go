package ledger

import (
	"math"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
)

// AccountID names an account. It is number<<30 | mode<<10 | currency: two
// accounts may exchange value if, and only if, their low 30 bits are equal, which
// a CHECK on the transfers table tests without reading another row.
type AccountID = int64

const (
	currencyBits = 10 // ISO 4217 numeric codes are below 1000
	modeBits     = 20
	realmBits    = currencyBits + modeBits
)

// NewAccountID puts an account's id together.
func NewAccountID(number int64, m mode.Mode, c money.Currency) AccountID {
	return number<<realmBits | int64(m)<<currencyBits | int64(c)
}

// ModeOf reads the mode from an account's id.
func ModeOf(a AccountID) mode.Mode { return mode.Mode(a >> currencyBits & (1<<modeBits - 1)) }

// CurrencyOf reads the currency from an account's id.
func CurrencyOf(a AccountID) money.Currency { return money.Currency(a & (1<<currencyBits - 1)) }

func sameRealm(a, b AccountID) bool { return (a^b)&(1<<realmBits-1) == 0 }

// NoFloor lets an account go as low as it must, for what rests outside Souk.
const NoFloor = math.MinInt64

// OwnerKind tells whose an account is.
type OwnerKind string

// The owners of accounts.
const (
	OwnerUser     OwnerKind = "USER"
	OwnerMerchant OwnerKind = "MERCHANT"
	OwnerPlatform OwnerKind = "PLATFORM"
)

// The kinds of accounts.
const (
	KindWallet     = "WALLET"     // a user's money
	KindCredit     = "CREDIT"     // a user's credit line: its floor is the limit
	KindPayable    = "PAYABLE"    // what Souk owes a merchant
	KindClearing   = "CLEARING"   // what rests with a rail outside
	KindReceivable = "RECEIVABLE" // what a user owes Souk after a rail took money back
)

// Account is where value of one currency in one mode rests.
type Account struct {
	ID      AccountID
	Owner   OwnerKind
	OwnerID id.ID
	Kind    string
	Balance int64 // minor units: credits less debits
	Held    int64
	Floor   int64
	Closed  bool // its owner is gone, and nothing moves any more
}

// Available is what may still be held or taken.
func (a Account) Available() int64 {
	free := a.Balance - a.Held
	if a.Floor == NoFloor || a.Floor < 0 && free > math.MaxInt64+a.Floor {
		return math.MaxInt64
	}
	return free - a.Floor
}

// fits tells whether balance less holds fits 64 bits, in which the database
// counts, too. Only an account without a floor can come that far.
func (a Account) fits() bool {
	_, err := money.Add(a.Balance, -a.Held)
	return err == nil
}

// Currency is the account's currency.
func (a Account) Currency() money.Currency { return CurrencyOf(a.ID) }

// Mode is the account's mode.
func (a Account) Mode() mode.Mode { return ModeOf(a.ID) }

// Transfer is a movement of value.
type Transfer struct {
	ID        id.ID
	Debit     AccountID
	Credit    AccountID
	Amount    int64 // minor units, above zero
	Kind      string
	SubjectID id.ID  // what it was for
	Reverses  *id.ID // the transfer that this one gives back, whole or in part
	At        time.Time
}

// HoldState tells whether a hold still binds.
type HoldState string

// The states of a hold: it begins HELD and ends once.
const (
	HoldHeld     HoldState = "HELD"
	HoldCaptured HoldState = "CAPTURED"
	HoldVoided   HoldState = "VOIDED"
	HoldExpired  HoldState = "EXPIRED"
)

// Hold is a part of a balance that is set aside.
type Hold struct {
	ID        id.ID
	Account   AccountID
	Amount    int64
	Captured  int64
	State     HoldState
	SubjectID id.ID
	ExpiresAt time.Time
	CreatedAt time.Time
	EndedAt   *time.Time
}

// GlobalID is how the outside names a merchant's account; others are shown as
// funding sources.
func (a Account) GlobalID() string { return id.Global("MerchantAccount", AccountKey(a.ID)) }
