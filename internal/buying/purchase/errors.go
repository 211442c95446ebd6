package purchase

import "github.com/soukhq/souk/internal/base/errs"

// Refusals of purchases. Those of cards come from merchant, those of money from
// ledger.
var (
	ErrOutOfStock    = errs.New(errs.Failed, "OUT_OF_STOCK", "There are not enough left.").With(errs.RetryNewKey)
	ErrQuantity      = errs.New(errs.Invalid, "QUANTITY_INVALID", "The quantity must be from 1 to 1000, and the total must fit.").In("quantity")
	ErrSource        = errs.New(errs.NotFound, "FUNDING_SOURCE_NOT_FOUND", "You have no such funding source.").In("fundingSourceId")
	ErrSourceKind    = errs.New(errs.Failed, "FUNDING_SOURCE_KIND", "Only a wallet or a credit line can pay.").In("fundingSourceId")
	ErrCurrency      = errs.New(errs.Failed, "CURRENCY_MISMATCH", "The funding source has another currency than the price.").In("fundingSourceId")
	ErrConversation  = errs.New(errs.NotFound, "CONVERSATION_NOT_FOUND", "You are in no such conversation.").In("conversationId")
	ErrOrder         = errs.New(errs.NotFound, "ORDER_NOT_FOUND", "You have no such order.").In("orderId")
	ErrState         = errs.New(errs.Conflict, "ORDER_STATE", "The order's state does not allow this.")
	ErrRefundAmount  = errs.New(errs.Failed, "REFUND_AMOUNT", "The refund must be above zero, in the order's currency, and not more than is left to give back.").In("amount")
	ErrMerchantFunds = errs.New(errs.Failed, "MERCHANT_FUNDS", "The merchant's balance does not cover the refund.").With(errs.RetryNewKey)
	ErrBuyerGone     = errs.New(errs.Failed, "BUYER_GONE", "The buyer's account is gone. Give the money back in another way.")
	ErrReversed      = errs.New(errs.Conflict, "REVERSED", "This purchase was reversed before it arrived.")
	ErrText          = errs.New(errs.Invalid, "TEXT_INVALID", "The text is too long, or has characters that may not be there.")
	ErrStale         = errs.New(errs.Failed, "CARD_STALE", "The card's price or product is no longer offered.").In("card").With(errs.RetryNewKey)
	ErrSuspended     = errs.New(errs.Failed, "MERCHANT_SUSPENDED", "The merchant may not sell at present.").In("card").With(errs.RetryNewKey)
)

// Refusals of a merchant's answer, told to the merchant's server.
var (
	ErrAnswer     = errs.New(errs.Invalid, "ANSWER_INVALID", "The answer cannot be read, or is not signed by the merchant's key and encrypted to Souk's.")
	ErrAnswerFor  = errs.New(errs.Invalid, "ANSWER_MISMATCH", "The answer is for another order or another amount.")
	ErrAnswerLate = errs.New(errs.Conflict, "ORDER_ENDED", "The order has ended: release it.")
)
