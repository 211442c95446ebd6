package bench

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/merchantsim"
)

// How large the market is: as large as the anchor's.
const (
	payers  = 10_000
	sellers = 10_000

	wealth = 1_000_000_000 // minor units in each wallet
)

// clearing is the account that the wallets were filled from.
var clearing = ledger.NewAccountID(1, mode.Live, money.EUR)

// payer is a user with a wallet.
type payer struct {
	id      id.ID
	subject string // of the issuer's tokens
	source  id.ID
	account ledger.AccountID
	token   string
}

// seller is a merchant with one product, of which there is always more.
type seller struct {
	id      id.ID
	keys    *merchantsim.Keys
	jwks    []byte
	product id.ID
	sku     string
	price   int64
	account ledger.AccountID
	card    string // signed, and good without asking the merchant
}

// market is who pays whom.
type market struct {
	payers  []payer
	sellers []seller
	// asked is a merchant whose product server confirms each order.
	asked seller
}

// newMarket makes keys, tokens and cards. The keys of the merchant that is asked
// are those in its product server's folder.
func newMarket(from *issuer, shop string) (*market, error) {
	m := &market{payers: make([]payer, payers), sellers: make([]seller, sellers)}
	now := time.Now()
	number := int64(1) // the clearing account's
	for i := range m.payers {
		number++
		p := payer{id: id.New(), source: id.New(), subject: rand.Text(), account: ledger.NewAccountID(number, mode.Live, money.EUR)}
		var err error
		if p.token, err = from.token(p.subject, now); err != nil {
			return nil, err
		}
		m.payers[i] = p
	}
	for i := range m.sellers {
		number++
		keys, err := merchantsim.GenerateKeys()
		if err != nil {
			return nil, err
		}
		if m.sellers[i], err = newSeller(keys, number, merchantsim.ConfirmByCard, now); err != nil {
			return nil, err
		}
	}
	keys, err := merchantsim.LoadKeys(shop)
	if err != nil {
		return nil, err
	}
	m.asked, err = newSeller(keys, number+1, merchantsim.ConfirmByServer, now)
	return m, err
}

func newSeller(keys *merchantsim.Keys, number int64, confirm string, now time.Time) (seller, error) {
	s := seller{
		id: id.New(), keys: keys, product: id.New(), sku: "item", price: 1 + number%100,
		account: ledger.NewAccountID(number, mode.Live, money.EUR),
	}
	var err error
	if s.jwks, err = keys.JWKS(); err != nil {
		return s, err
	}
	s.card, err = merchantsim.Card{
		Issuer: s.global(), SKU: s.sku, Name: s.name(), Price: merchantsim.Money{AmountMinor: s.price, Currency: money.EUR.String()},
		IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(), Confirm: confirm,
	}.Sign(keys.Sign)
	return s, err
}

func (s seller) global() string { return id.Global("Merchant", s.id) }
func (s seller) name() string   { return fmt.Sprintf("Item for %d", s.price) }

// all gives every merchant.
func (m *market) all() []seller { return append(m.sellers[:len(m.sellers):len(m.sellers)], m.asked) }

// shopFolder is where the product server keeps its keys.
func shopFolder(dir string) string { return filepath.Join(dir, "shop") }
