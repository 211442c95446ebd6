// Package money holds amounts: whole minor units of one currency, never a float.
package money

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Amount is a number of minor units (cents, for most) of one currency.
type Amount struct {
	Minor    int64
	Currency Currency
}

// Errors of arithmetic.
var (
	ErrOverflow = errors.New("money: amount does not fit 64 bits")
	ErrCurrency = errors.New("money: amounts of different currencies")
)

// Add sums two amounts of one currency.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrCurrency
	}
	s, err := Add(a.Minor, b.Minor)
	return Amount{s, a.Currency}, err
}

// Times multiplies an amount by a count.
func (a Amount) Times(n int64) (Amount, error) {
	p, err := Mul(a.Minor, n)
	return Amount{p, a.Currency}, err
}

// String writes the amount as a person would, "12.50 EUR".
func (a Amount) String() string {
	d := a.Currency.Decimals()
	if d == 0 {
		return fmt.Sprintf("%d %s", a.Minor, a.Currency)
	}
	neg, u := "", uint64(a.Minor)
	if a.Minor < 0 {
		neg, u = "-", -u
	}
	s := strconv.FormatUint(u, 10)
	for len(s) <= d {
		s = "0" + s
	}
	return neg + s[:len(s)-d] + "." + s[len(s)-d:] + " " + a.Currency.String()
}

// Add sums two counts of minor units, refusing to wrap round.
func Add(a, b int64) (int64, error) {
	s := a + b
	if (s > a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return s, nil
}

// Mul multiplies two counts, refusing to wrap round.
func Mul(a, b int64) (int64, error) {
	neg := (a < 0) != (b < 0)
	ua, ub := abs(a), abs(b)
	hi, lo := bits.Mul64(ua, ub)
	limit := uint64(1)<<63 - 1
	if neg {
		limit++
	}
	if hi != 0 || lo > limit {
		return 0, ErrOverflow
	}
	if neg {
		return int64(-lo), nil
	}
	return int64(lo), nil
}

func abs(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}
