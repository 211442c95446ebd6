package ledger

import "github.com/soukhq/souk/internal/base/errs"

// Refusals of the ledger. They are values: a batch goes on, and the command's
// key remembers its refusal.
var (
	ErrInsufficientFunds = errs.New(errs.Failed, "INSUFFICIENT_FUNDS", "There is not enough money for this.").With(errs.RetryNewKey)
	ErrHoldEnded         = errs.New(errs.Conflict, "HOLD_ENDED", "This hold was captured, voided or expired before.")
	ErrHoldExceeded      = errs.New(errs.Failed, "HOLD_EXCEEDED", "More was asked than is held.")
	ErrAmount            = errs.New(errs.Invalid, "AMOUNT_INVALID", "The amount must be above zero and fit 64 bits.")
	ErrCrossed           = errs.New(errs.Failed, "ACCOUNT_MISMATCH", "These accounts differ in currency or mode.")
	ErrAccountClosed     = errs.New(errs.Failed, "ACCOUNT_CLOSED", "The owner of this account is gone, and nothing moves on it any more.")
	ErrAccountUnknown    = errs.New(errs.NotFound, "ACCOUNT_NOT_FOUND", "There is no such account.")
	ErrIdempotency       = errs.New(errs.Conflict, "IDEMPOTENCY_MISMATCH", "This idempotency key was used with another input. Use a new key.").With(errs.RetryNewKey).In("idempotencyKey")
	ErrKeyInvalid        = errs.New(errs.Invalid, "IDEMPOTENCY_KEY_INVALID", "Give an idempotency key of 1 to 255 characters.").In("idempotencyKey")
	ErrBusy              = errs.New(errs.Unavailable, "UNAVAILABLE", "Too many payments at this moment; nothing was done. Send it again with the same key.").With(errs.RetrySameKey)
	ErrUnknownOutcome    = errs.New(errs.Unavailable, "UNAVAILABLE", "The database is away, and whether this was done is not known yet. Send it again with the same key to find out.").With(errs.RetrySameKey)
)
