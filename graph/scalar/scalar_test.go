package scalar

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/soukhq/souk/internal/base/money"
)

func marshal(m graphql.Marshaler) string {
	var b strings.Builder
	m.MarshalGQL(&b)
	return b.String()
}

func TestInt64(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: `"0"`, -1: `"-1"`, math.MaxInt64: `"9223372036854775807"`, math.MinInt64: `"-9223372036854775808"`} {
		if got := marshal(MarshalInt64(n)); got != want {
			t.Errorf("%d is written %s", n, got)
		}
		for _, v := range []any{strings.Trim(want, `"`), json.Number(strings.Trim(want, `"`)), n} {
			if got, err := UnmarshalInt64(v); got != n || err != nil {
				t.Errorf("%v is read as %d, %v", v, got, err)
			}
		}
	}
	if got, err := UnmarshalInt64(7); got != 7 || err != nil {
		t.Error(got, err)
	}
	for _, v := range []any{"9223372036854775808", "-9223372036854775809", json.Number("1e3"), json.Number("1.0"), "1.0", "", "+1", " 1", "1 ", "0x1", "1_000", 1.0, true, nil, []any{"1"}, map[string]any{}} {
		if got, err := UnmarshalInt64(v); err == nil {
			t.Errorf("%#v is read as %d", v, got)
		}
	}
}

func FuzzInt64(f *testing.F) {
	f.Add("0")
	f.Add("-9223372036854775808")
	f.Add("1e3")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := UnmarshalInt64(s)
		if err != nil {
			return
		}
		if again, err := UnmarshalInt64(strings.Trim(marshal(MarshalInt64(n)), `"`)); again != n || err != nil {
			t.Fatalf("%q: %d, %d, %v", s, n, again, err)
		}
	})
}

func TestDateTime(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	at := time.Date(2026, 1, 31, 10, 30, 0, 250_000_000, zone)
	if got := marshal(MarshalDateTime(at)); got != `"2026-01-31T09:30:00.25Z"` {
		t.Error(got)
	}
	for _, v := range []any{"2026-01-31T10:30:00.25+01:00", "2026-01-31T09:30:00.250000999Z", at.UTC()} {
		if got, err := UnmarshalDateTime(v); !got.Equal(at) || got.Location() != time.UTC || err != nil {
			t.Errorf("%v is read as %v, %v", v, got, err)
		}
	}
	for _, v := range []any{"", "2026-01-31", "2026-01-31 09:30:00Z", "2026-02-30T00:00:00Z", json.Number("1"), nil} {
		if got, err := UnmarshalDateTime(v); err == nil {
			t.Errorf("%#v is read as %v", v, got)
		}
	}
}

func TestCurrencyCode(t *testing.T) {
	t.Parallel()
	if got := marshal(MarshalCurrencyCode(money.EUR)); got != `"EUR"` {
		t.Error(got)
	}
	if got, err := UnmarshalCurrencyCode("USD"); got != money.USD || err != nil {
		t.Error(got, err)
	}
	for _, v := range []any{"", "eur", "XXX", "EURO", json.Number("978"), nil} {
		if got, err := UnmarshalCurrencyCode(v); err == nil {
			t.Errorf("%#v is read as %v", v, got)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, v := range []any{"https://shop.example/hook?x=1", "http://127.0.0.1:8080"} {
		if got, err := UnmarshalURL(v); got != v || err != nil {
			t.Error(got, err)
		}
	}
	for _, v := range []any{"", "shop.example", "/hook", "ftp://shop.example", "javascript:alert(1)", "https://", "https://x/" + strings.Repeat("x", 2048), 1, nil} {
		if got, err := UnmarshalURL(v); err == nil {
			t.Errorf("%#v is read as %v", v, got)
		}
	}
}

func TestMode(t *testing.T) {
	t.Parallel()
	if marshal(MarshalMode(0)) != `"LIVE"` || marshal(MarshalMode(1)) != `"SANDBOX"` || marshal(MarshalMode(77)) != `"SANDBOX"` {
		t.Error("modes are written wrong")
	}
	if m, err := UnmarshalMode("LIVE"); !m.IsLive() || err != nil {
		t.Error(m, err)
	}
	if m, err := UnmarshalMode("SANDBOX"); m.IsLive() || err != nil {
		t.Error(m, err)
	}
	if _, err := UnmarshalMode("live"); err == nil {
		t.Error("live is read")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for typ, v := range map[string]any{"Int64": "1", "DateTime": "2026-01-31T09:30:00Z", "CurrencyCode": "EUR", "URL": "https://shop.example"} {
		if known, err := Check(typ, v); !known || err != nil {
			t.Error(typ, known, err)
		}
		if _, err := Check(typ, true); err == nil {
			t.Error(typ, "takes true")
		}
	}
	if known, _ := Check("Upload", true); known {
		t.Error("Upload is known")
	}
}
