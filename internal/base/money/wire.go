package money

import (
	"errors"
	"strconv"
)

// Wire is an amount in the messages that Souk and other servers exchange.
type Wire struct {
	AmountMinor Minor    `json:"amountMinor"`
	Currency    Currency `json:"currency"`
}

// ToWire is the amount for a message.
func (a Amount) ToWire() Wire { return Wire{Minor(a.Minor), a.Currency} }

// Amount is what a message says.
func (w Wire) Amount() Amount { return Amount{int64(w.AmountMinor), w.Currency} }

// Minor is a count of minor units. It is written as a JSON number, and read from
// a number or from the text of one, which is how those write it whose numbers
// end at 2^53.
type Minor int64

var errMinor = errors.New("money: no whole number of minor units")

// UnmarshalJSON reads either form.
func (m *Minor) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(b) { // one value, one text
		return errMinor
	}
	*m = Minor(n)
	return nil
}
