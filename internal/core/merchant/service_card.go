package merchant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

type cardHash = [sha256.Size]byte

// verifiedCard is a card whose signature was checked, and what it was checked
// with.
type verifiedCard struct {
	card   Card
	header jose.Header
	key    string // thumbprint
}

// signedBy tells whether the key that verified the card is still in the set.
func (c verifiedCard) signedBy(h *heldKeys) bool {
	k, err := h.all.Find(c.header.KeyID, c.header.Algorithm)
	return err == nil && k.Thumbprint() == c.key
}

// VerifyCard checks a product card for a buyer of a mode, and gives with it the
// product that it offers and who sells it. They may be as they were up to
// [Config].CacheFor ago: the purchase looks at the rows again in its transaction,
// and starts over if the merchant has changed since. VerifyCard is
// not to be called in a transaction.
//
// Refusals: CARD_INVALID, CARD_EXPIRED, MERCHANT_SUSPENDED, CARD_STALE.
func (s *Service) VerifyCard(ctx context.Context, in mode.Mode, token string) (Card, Product, Merchant, error) {
	c, err := s.genuine(ctx, token)
	if err != nil {
		return Card{}, Product{}, Merchant{}, err
	}
	m, p, err := s.judged(ctx, in, c)
	if err != nil {
		return Card{}, Product{}, Merchant{}, err
	}
	return c, *p, m, nil
}

// judged holds a card against its merchant and product. What memory refuses is
// held against the rows once more: they may have changed since.
func (s *Service) judged(ctx context.Context, in mode.Mode, c Card) (m Merchant, p *Product, err error) {
	for _, fresh := range []bool{false, true} {
		if m, p, err = s.row(ctx, rowKey{c.MerchantID, c.SKU}, fresh); err != nil {
			return m, p, hidden(err)
		}
		if err = c.judge(in, m, p, s.clock.Now(in)); err == nil {
			return m, p, nil
		}
	}
	return m, p, err
}

// genuine gives what a card says if it carries its merchant's signature.
func (s *Service) genuine(ctx context.Context, token string) (Card, error) {
	if len(token) > cardMax {
		return Card{}, ErrCardInvalid
	}
	hash := sha256.Sum256([]byte(token))
	if known, ok := s.cards.Get(hash); ok {
		m, _, err := s.row(ctx, rowKey{known.card.MerchantID, known.card.SKU}, false)
		if err != nil {
			return Card{}, hidden(err)
		}
		h, err := s.keysOf(ctx, m)
		if err != nil {
			return Card{}, hidden(err)
		}
		if known.signedBy(h) {
			return known.card, nil
		}
		s.cards.Remove(hash) // perhaps another key of that name signed it
	}
	verified, err := s.check(ctx, token)
	if err != nil {
		return Card{}, err
	}
	s.cards.Add(hash, verified)
	return verified.card, nil
}

// check verifies a card's signature and reads it. Its times are for judge, which
// looks at them each time.
func (s *Service) check(ctx context.Context, token string) (verifiedCard, error) {
	u, err := jose.Parse(token)
	if err != nil {
		return verifiedCard{}, ErrCardInvalid.Because(err)
	}
	merchantID, err := merchantOf(u.Claims.Issuer)
	if err != nil {
		return verifiedCard{}, err
	}
	m, err := s.Get(ctx, merchantID)
	if err != nil {
		return verifiedCard{}, hidden(err)
	}
	t, err := s.verify(ctx, m, u, jose.VerifyOptions{Typ: CardType, Issuer: u.Claims.Issuer, Now: u.Claims.IssuedAt})
	if err != nil {
		return verifiedCard{}, hidden(err)
	}
	c, err := readCard(merchantID, t)
	if err != nil {
		return verifiedCard{}, err
	}
	return verifiedCard{card: c, header: t.Header, key: t.Key.Thumbprint()}, nil
}

// hidden turns whatever is wrong with a card, or with whom it names, into
// CARD_INVALID: a stranger's card must not tell which merchants there are. What
// is wrong with Souk stays what it is.
func hidden(err error) error {
	switch {
	case errs.KindOf(err) == errs.NotFound, isTokenError(err):
		return ErrCardInvalid.Because(err)
	default:
		return err
	}
}

var tokenErrors = []error{
	jose.ErrMalformed, jose.ErrTooLarge, jose.ErrAlgorithm, jose.ErrCritical, jose.ErrType, jose.ErrKey, jose.ErrUnknownKey,
	jose.ErrSignature, jose.ErrIssuer, jose.ErrAudience, jose.ErrExpired, jose.ErrNotYetValid, jose.ErrLifetime,
}

func isTokenError(err error) bool {
	for _, known := range tokenErrors {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// cached is a row and when it was read.
type cached[T any] struct {
	value T
	at    time.Time
}

// rowKey names a product by its merchant's name for it; without one, the
// merchant alone.
type rowKey struct {
	merchantID id.ID
	sku        string
}

// rowPair is a merchant and one of its products, nil if it has no such product.
type rowPair struct {
	merchant Merchant
	product  *Product
}

// row gives a merchant and its product, from memory unless a fresh answer is
// wanted.
//
// Refusals: MERCHANT_NOT_FOUND.
func (s *Service) row(ctx context.Context, key rowKey, fresh bool) (Merchant, *Product, error) {
	now := s.clock.Now(mode.Live)
	if !fresh {
		m, knowsMerchant := s.sellers.Get(key.merchantID)
		p, knowsProduct := s.products.Get(key)
		if knowsMerchant && s.believed(now, m.at) && (key.sku == "" || knowsProduct && s.believed(now, p.at)) {
			return m.value, p.value, nil
		}
	}
	pair, ok, err := s.rows.Load(ctx, key)
	if err != nil {
		return Merchant{}, nil, fmt.Errorf("read merchant: %w", err)
	}
	if !ok {
		return Merchant{}, nil, ErrNotFound
	}
	s.sellers.Add(key.merchantID, cached[Merchant]{pair.merchant, now})
	if key.sku != "" {
		s.products.Add(key, cached[*Product]{pair.product, now})
	}
	return pair.merchant, pair.product, nil
}

// Forget lets the rows of a merchant and a product be read again before they are
// believed: somebody has seen that they have changed.
func (s *Service) Forget(merchantID id.ID, sku string) {
	s.sellers.Remove(merchantID)
	s.products.Remove(rowKey{merchantID, sku})
}

func (s *Service) believed(now, then time.Time) bool { return now.Sub(then) < s.cfg.CacheFor }
