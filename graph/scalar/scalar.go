// Package scalar reads and writes the API's own scalars.
//
// Each has a Marshal and an Unmarshal function, which gqlgen binds by name.
// The Unmarshal functions take a value as JSON or a literal gives it, or as
// they themselves returned it, so that a value may be checked before an
// operation runs and read again by a resolver.
package scalar

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
)

// Node is any object that the API shows under a global id. It asks nothing of
// the Go type, so that domain types know nothing of GraphQL.
type Node any

// What is said of a value that a scalar does not take.
var (
	errInt64    = errors.New("an Int64 is a whole number of 64 bits, as a string of decimal digits")
	errDateTime = errors.New("a DateTime is a string as RFC 3339 writes it, such as 2026-01-31T09:30:00Z")
	errCurrency = errors.New("a CurrencyCode is the alphabetic code of an ISO 4217 currency in force, such as EUR")
	errURL      = errors.New("a URL is an absolute http or https URL of at most 2048 bytes")
	errMode     = errors.New("a Mode is LIVE or SANDBOX")
)

// Check tells whether a custom scalar takes a value; known is false for a type
// that this package does not read.
func Check(typ string, v any) (known bool, err error) {
	switch typ {
	case "Int64":
		_, err = UnmarshalInt64(v)
	case "DateTime":
		_, err = UnmarshalDateTime(v)
	case "CurrencyCode":
		_, err = UnmarshalCurrencyCode(v)
	case "URL":
		_, err = UnmarshalURL(v)
	default:
		return false, nil
	}
	return true, err
}

// MarshalInt64 writes a string of decimal digits.
func MarshalInt64(n int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [22]byte
		b := append(buf[:0], '"')
		b = strconv.AppendInt(b, n, 10)
		_, _ = w.Write(append(b, '"'))
	})
}

// UnmarshalInt64 reads a string of decimal digits or an integer, never a float.
func UnmarshalInt64(v any) (int64, error) {
	switch v := v.(type) {
	case string:
		return parseInt64(v)
	case json.Number:
		return parseInt64(string(v))
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	}
	return 0, errInt64
}

func parseInt64(s string) (int64, error) {
	if s == "" || s[0] == '+' {
		return 0, errInt64
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errInt64
	}
	return n, nil
}

// MarshalDateTime writes RFC 3339 in UTC.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [40]byte
		b := append(buf[:0], '"')
		b = t.UTC().AppendFormat(b, time.RFC3339Nano)
		_, _ = w.Write(append(b, '"'))
	})
}

// UnmarshalDateTime reads RFC 3339, in any zone, to the microsecond.
func UnmarshalDateTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return time.Time{}, errDateTime
		}
		return clock.Trim(t), nil
	}
	return time.Time{}, errDateTime
}

// MarshalCurrencyCode writes the alphabetic code.
func MarshalCurrencyCode(c money.Currency) graphql.Marshaler {
	return graphql.MarshalString(c.String())
}

// UnmarshalCurrencyCode reads the alphabetic code of a currency in force.
func UnmarshalCurrencyCode(v any) (money.Currency, error) {
	s, _ := v.(string)
	c, err := money.ParseCurrency(s)
	if err != nil {
		return 0, errCurrency
	}
	return c, nil
}

// MarshalURL writes the URL as it is.
func MarshalURL(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// UnmarshalURL reads an absolute http or https URL.
func UnmarshalURL(v any) (string, error) {
	s, ok := v.(string)
	if !ok || len(s) > 2048 {
		return "", errURL
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", errURL
	}
	return s, nil
}

// MarshalMode says live or sandbox; which sandbox is nobody's business outside.
func MarshalMode(m mode.Mode) graphql.Marshaler {
	if m.IsLive() {
		return graphql.MarshalString("LIVE")
	}
	return graphql.MarshalString("SANDBOX")
}

// UnmarshalMode reads a mode back; SANDBOX is the first sandbox, since the name
// alone does not say which.
func UnmarshalMode(v any) (mode.Mode, error) {
	switch v {
	case "LIVE":
		return mode.Live, nil
	case "SANDBOX":
		return 1, nil
	}
	return 0, errMode
}
