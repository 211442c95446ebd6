package wallet

import "github.com/soukhq/souk/internal/base/errs"

// Refusals about wallets. Those of keys come from ledger, as does
// INSUFFICIENT_FUNDS.
var (
	ErrSource        = errs.New(errs.NotFound, "FUNDING_SOURCE_NOT_FOUND", "You have no such funding source.").In("sourceId")
	ErrNoWallet      = errs.New(errs.NotFound, "FUNDING_SOURCE_NOT_FOUND", "You have no wallet in this currency. Add one first.").In("amount", "currency")
	ErrKind          = errs.New(errs.Failed, "FUNDING_SOURCE_KIND", "This kind of funding source cannot be used for that.").In("kind")
	ErrLimit         = errs.New(errs.Failed, "FUNDING_SOURCE_LIMIT", "You have one already, or as many funding sources as one may have.")
	ErrTopUp         = errs.New(errs.NotFound, "TOP_UP_NOT_FOUND", "You have no such top-up.").In("topUpId")
	ErrNotReturnable = errs.New(errs.Failed, "TOP_UP_NOT_RETURNABLE", "This top-up is not done, or was given back before.").In("topUpId").With(errs.RetryNewKey)
	ErrUser          = errs.New(errs.NotFound, "USER_NOT_FOUND", "There is no such user.").In("userId")
	ErrRail          = errs.New(errs.Failed, "RAIL_UNAVAILABLE", "Bank accounts or cards of this kind are not connected here.").With(errs.RetryNewKey)
	ErrAmount        = errs.New(errs.Invalid, "AMOUNT_INVALID", "The amount must be above zero, and not more than is allowed or left.").In("amount")
	ErrCurrency      = errs.New(errs.Failed, "CURRENCY_MISMATCH", "The currency is not that of the account.").In("amount", "currency")
	ErrUsed          = errs.New(errs.Failed, "INSUFFICIENT_FUNDS", "More of the credit line is used than this limit.").In("limit")
	ErrText          = errs.New(errs.Invalid, "TEXT_INVALID", "This text is empty, too long, or has characters that may not be there.")
)
