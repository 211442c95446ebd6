package merchant

import (
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

var noonOfCards = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Whatever a merchant signs, a card that is believed says nothing that it may
// not.
func FuzzReadCard(f *testing.F) {
	f.Add([]byte(`{"sku":"bread","name":"Bread","price":{"amountMinor":1000,"currency":"EUR"},"confirm":"server"}`))
	f.Add([]byte(`{"sku":"bread","name":"Bread","price":{"amountMinor":"1000","currency":"EUR"}}`))
	f.Add([]byte(`{"sku":" ","name":"\u0000","price":{"amountMinor":-1,"currency":"XXX"},"confirm":"never"}`))
	f.Add([]byte(`{"price":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := readCard(id.Of("merchant"), &jose.Token{Payload: payload, Claims: jose.Claims{IssuedAt: noonOfCards, ExpiresAt: noonOfCards}})
		if err != nil {
			return
		}
		if c.Price.Minor <= 0 || !c.Price.Currency.Known() || c.SKU == "" || c.Name == "" || c.Confirm != ConfirmServer && c.Confirm != ConfirmCard {
			t.Errorf("%q was read as %+v", payload, c)
		}
	})
}

// A key set that is accepted can be kept and read again, with the same keys.
func FuzzParseKeys(f *testing.F) {
	signing, errSigning := jose.Generate(jose.EdDSA)
	opening, errOpening := jose.Generate(jose.ECDHESA256KW)
	if errSigning != nil || errOpening != nil {
		f.Fatal(errSigning, errOpening)
	}
	set, err := jose.NewKeySet(signing.Public(), opening.Public())
	if err != nil {
		f.Fatal(err)
	}
	text, err := (keySet{all: set}).text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeys(data)
		if err != nil {
			return
		}
		text, err := set.text()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseKeys(text)
		if err != nil || again.all.Len() != set.all.Len() || again.encryption.Thumbprint() != set.encryption.Thumbprint() {
			t.Errorf("%q was kept as %q: %v", data, text, err)
		}
	})
}
