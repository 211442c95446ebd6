package merchant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/batch"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Config sets the service's times and sizes. Every zero value means its default.
type Config struct {
	CacheFor     time.Duration // how long a row that was read is believed; 10 s
	KeysFresh    time.Duration // how long a published key set is used before it is fetched again; 5 min
	KeysRetry    time.Duration // the shortest time between two fetches of one set; 10 s
	KeysKeep     time.Duration // how long a set is used while its URL is down: what was revoked there meanwhile still counts here; 24 h
	FetchTimeout time.Duration // for one fetch; 5 s
	CardsMax     int           // verified cards that are remembered; 65,536
	RowsMax      int           // merchants, and products, that are remembered; 32,768
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	if min(c.CacheFor, c.KeysFresh, c.KeysRetry, c.KeysKeep, c.FetchTimeout) < 0 || min(c.CardsMax, c.RowsMax) < 0 {
		return errors.New("merchant: a time or a size is negative")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.CacheFor = or(c.CacheFor, 10*time.Second)
	c.KeysFresh = or(c.KeysFresh, 5*time.Minute)
	c.KeysRetry = or(c.KeysRetry, 10*time.Second)
	c.KeysKeep = or(c.KeysKeep, 24*time.Hour)
	c.FetchTimeout = or(c.FetchTimeout, 5*time.Second)
	c.CardsMax = or(c.CardsMax, 1<<16)
	c.RowsMax = or(c.RowsMax, 1<<15)
	return c
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Accounts opens accounts in the ledger.
type Accounts interface {
	// Open gives the owner's account, and makes it if it is not there.
	Open(ctx context.Context, n ledger.NewAccount) (ledger.AccountID, error)
}

// Web is the way to the URLs that merchants give.
type Web interface {
	// Do sends a request and reads the whole answer.
	Do(ctx context.Context, r outbound.Request) (outbound.Response, error)
	// ValidateURL tells whether a URL may be registered.
	ValidateURL(raw string) error
}

// Deps is what the service leans on.
type Deps struct {
	DB         *store.DB
	Clock      clock.Clock
	Accounts   Accounts
	Web        Web
	Pseudonyms []byte // secret of 32 bytes
	// Revoked is told, after the commit, whose tokens may no longer count since
	// their keys changed; nil if nobody wants to know.
	Revoked func(ctx context.Context, r auth.Revocation)
}

// Service registers merchants and their products, and verifies what they sign.
type Service struct {
	db         *store.DB
	clock      clock.Clock
	accounts   Accounts
	web        Web
	pseudonyms []byte
	revoked    func(ctx context.Context, r auth.Revocation)
	cfg        Config

	rows     *batch.Reader[rowKey, rowPair]
	sets     *batch.Reader[id.ID, *heldKeys]
	sellers  *lru.Cache[id.ID, cached[Merchant]]
	products *lru.Cache[rowKey, cached[*Product]]
	held     *lru.Cache[id.ID, *heldKeys]
	cards    *lru.Cache[cardHash, verifiedCard]
	payable  *lru.Cache[payableKey, ledger.AccountID]
	fetches  fetches
	flying   sync.WaitGroup
}

// New makes the service. Close must be called when it is no longer used.
func New(d Deps, cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(d.Pseudonyms) < 32 {
		return nil, errors.New("merchant: the secret of pseudonyms is too short")
	}
	s := &Service{
		db: d.DB, clock: d.Clock, accounts: d.Accounts, web: d.Web, pseudonyms: d.Pseudonyms, revoked: d.Revoked,
		cfg: cfg.withDefaults(),
	}
	if s.revoked == nil {
		s.revoked = func(context.Context, auth.Revocation) {}
	}
	s.rows = batch.New(s.readPairs)
	s.sets = batch.New(s.readKeys)
	var errs [6]error
	s.sellers, errs[0] = lru.New[id.ID, cached[Merchant]](s.cfg.RowsMax)
	s.products, errs[1] = lru.New[rowKey, cached[*Product]](s.cfg.RowsMax)
	s.held, errs[2] = lru.New[id.ID, *heldKeys](s.cfg.RowsMax)
	s.cards, errs[3] = lru.New[cardHash, verifiedCard](s.cfg.CardsMax)
	s.payable, errs[4] = lru.New[payableKey, ledger.AccountID](s.cfg.RowsMax)
	s.fetches, errs[5] = newFetches()
	return s, errors.Join(errs[:]...)
}

// Close waits for the fetches that are under way.
func (s *Service) Close() { s.flying.Wait() }

// Register creates a merchant in the viewer's mode. Keys that are given by URL
// are fetched at once. Only for operators and for the chat app's server.
//
// Refusals: TEXT_INVALID, URL_INVALID, KEYS_INVALID, KEYS_UNREACHABLE.
func (s *Service) Register(ctx context.Context, v auth.Viewer, r Registration) (Merchant, error) {
	if !v.Is(auth.Operator, auth.Service) {
		return Merchant{}, errs.ErrForbidden
	}
	change := Change{Name: &r.Name, EndpointURL: &r.EndpointURL}
	switch {
	case r.JWKSURL != "" && r.JWKS != "", r.JWKSURL == "" && r.JWKS == "":
		return Merchant{}, ErrKeys.In("jwks")
	case r.JWKSURL != "":
		change.JWKSURL = &r.JWKSURL
	default:
		change.JWKS = &r.JWKS
	}
	now := s.clock.Now(v.Mode)
	m := Merchant{ID: id.New(), Mode: v.Mode, Status: Active, CreatedAt: now, UpdatedAt: now}
	keys, err := s.prepare(ctx, m.ID, &change)
	if err != nil {
		return Merchant{}, err
	}
	change.apply(&m, keys)
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.insert(ctx, m, keys.text); err != nil {
			return err
		}
		return s.record(ctx, v, "merchant.register", m.ID, map[string]any{"endpoint": m.EndpointURL, "jwks": m.JWKSURL})
	})
	if err != nil {
		return Merchant{}, fmt.Errorf("register merchant: %w", err)
	}
	return m, nil
}

// Update changes a merchant. A merchant may change itself, and may leave out its
// id; an operator may change any of the mode.
//
// Refusals: MERCHANT_NOT_FOUND, TEXT_INVALID, URL_INVALID, KEYS_INVALID,
// KEYS_UNREACHABLE.
func (s *Service) Update(ctx context.Context, v auth.Viewer, merchantID id.ID, c Change) (Merchant, error) {
	merchantID, err := subject(v, merchantID)
	if err != nil {
		return Merchant{}, err
	}
	keys, err := s.prepare(ctx, merchantID, &c)
	if err != nil {
		return Merchant{}, err
	}
	return s.change(ctx, v, merchantID, "merchant.update", func(m *Merchant) keysGiven {
		c.apply(m, keys)
		return keys
	})
}

// subject gives the merchant that a viewer may change.
func subject(v auth.Viewer, merchantID id.ID) (id.ID, error) {
	switch {
	case v.Is(auth.Operator) && merchantID != id.Nil, v.Is(auth.Merchant) && merchantID == v.MerchantID:
		return merchantID, nil
	case v.Is(auth.Merchant) && merchantID == id.Nil:
		return v.MerchantID, nil
	case v.Is(auth.Operator, auth.Merchant):
		return id.Nil, ErrNotFound.In("merchantId")
	}
	return id.Nil, errs.ErrForbidden
}

// Suspend stops a merchant from selling, or lets it sell again. Only for
// operators.
//
// Refusals: MERCHANT_NOT_FOUND.
func (s *Service) Suspend(ctx context.Context, v auth.Viewer, merchantID id.ID, suspended bool) (Merchant, error) {
	if !v.Is(auth.Operator) {
		return Merchant{}, errs.ErrForbidden
	}
	action, status := "merchant.resume", Active
	if suspended {
		action, status = "merchant.suspend", Suspended
	}
	return s.change(ctx, v, merchantID, action, func(m *Merchant) keysGiven {
		m.Status = status
		return keysGiven{}
	})
}

// change locks a merchant of the viewer's mode, lets fn change it, and saves it.
func (s *Service) change(ctx context.Context, v auth.Viewer, merchantID id.ID, action string, fn func(*Merchant) keysGiven) (m Merchant, err error) {
	var given keysGiven
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if m, err = s.lock(ctx, merchantID); err != nil {
			return err
		}
		if m.Mode != v.Mode {
			return ErrNotFound.In("merchantId")
		}
		given = fn(&m)
		m.UpdatedAt = s.after(m)
		if err := s.save(ctx, m, given.text); err != nil {
			return err
		}
		s.db.After(ctx, func() { s.forget(merchantID) })
		if v.Is(auth.Merchant) {
			return nil // the books are kept of those who act on others
		}
		return s.record(ctx, v, action, m.ID, nil)
	})
	if err != nil {
		return Merchant{}, fmt.Errorf("%s: %w", action, err)
	}
	if given.text != nil {
		s.revoked(ctx, auth.Revocation{MerchantID: m.ID})
	}
	return m, nil
}

// after gives the time of a change of a merchant. It is later than that of the
// change before, even if the clock is not: copies of the keys are told apart by
// it.
func (s *Service) after(m Merchant) time.Time {
	now := s.clock.Now(m.Mode)
	if !now.After(m.UpdatedAt) {
		now = m.UpdatedAt.Add(time.Microsecond)
	}
	return now
}

// keysGiven is a key set that replaces another.
type keysGiven struct {
	text      []byte // nil: the keys stay
	fetchedAt time.Time
}

// prepare checks what is to change and fetches what has to be fetched. It tidies
// the change's texts.
func (s *Service) prepare(ctx context.Context, merchantID id.ID, c *Change) (keysGiven, error) {
	if c.Name != nil {
		name, ok := cleanName(*c.Name)
		if !ok {
			return keysGiven{}, ErrText.In("name")
		}
		c.Name = &name
	}
	if c.EndpointURL != nil {
		if err := s.web.ValidateURL(*c.EndpointURL); err != nil {
			return keysGiven{}, ErrURL.In("endpointUrl").Because(err)
		}
	}
	url, value, err := c.keys()
	if err != nil {
		return keysGiven{}, err
	}
	if url != "" {
		return s.prepareURL(ctx, merchantID, url)
	}
	if value == "" {
		return keysGiven{}, nil
	}
	set, err := parseKeys([]byte(value))
	if err != nil {
		return keysGiven{}, errs.As(err).In("jwks")
	}
	text, err := set.text()
	return keysGiven{text: text}, err
}

func (s *Service) prepareURL(ctx context.Context, merchantID id.ID, url string) (keysGiven, error) {
	if err := s.web.ValidateURL(url); err != nil {
		return keysGiven{}, ErrURL.In("jwksUrl").Because(err)
	}
	began := s.clock.Now(mode.Live)
	set, err := s.fetch(ctx, merchantID, url)
	if err != nil {
		return keysGiven{}, errs.As(err).In("jwksUrl")
	}
	text, err := set.text()
	return keysGiven{text: text, fetchedAt: began}, err
}

// apply makes the change.
func (c Change) apply(m *Merchant, keys keysGiven) {
	if c.Name != nil {
		m.Name = *c.Name
	}
	if c.EndpointURL != nil {
		m.EndpointURL = *c.EndpointURL
	}
	if keys.text != nil {
		m.JWKSURL, m.keysFetchedAt = "", keys.fetchedAt
		if c.JWKSURL != nil {
			m.JWKSURL = *c.JWKSURL
		}
	}
}

// ByIDs reads merchants for the batches of a loader; one that is not there is
// left out. It asks no permission: the caller has shown an object that names
// them.
func (s *Service) ByIDs(ctx context.Context, ids []id.ID) (map[id.ID]Merchant, error) {
	return s.byIDs(ctx, ids)
}

// Visible reads those of the merchants that the viewer may see: those of the same
// mode.
func (s *Service) Visible(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Merchant, error) {
	if v.Is(auth.Anonymous) {
		return nil, nil
	}
	return s.byIDsIn(ctx, v.Mode, ids)
}

// SeesInside tells whether the viewer is shown what concerns a merchant alone:
// its URLs, its stock and its accounts.
func SeesInside(v auth.Viewer, merchantID id.ID) bool {
	return v.Is(auth.Operator) || v.Is(auth.Merchant) && v.MerchantID == merchantID
}

// Get reads a merchant, for what Souk does by itself.
//
// Refusals: MERCHANT_NOT_FOUND.
func (s *Service) Get(ctx context.Context, merchantID id.ID) (Merchant, error) {
	m, _, err := s.row(ctx, rowKey{merchantID: merchantID}, false)
	return m, err
}

// Pseudonym names a user to a merchant: always the same name, and another one to
// every merchant.
func (s *Service) Pseudonym(userID, merchantID id.ID) string {
	return pseudonymOf(s.pseudonyms, userID, merchantID)
}

type payableKey struct {
	merchantID id.ID
	currency   money.Currency
}

// Payable gives the account of what Souk owes a merchant in a currency.
func (s *Service) Payable(ctx context.Context, m Merchant, c money.Currency) (ledger.AccountID, error) {
	key := payableKey{m.ID, c}
	if a, ok := s.payable.Get(key); ok {
		return a, nil
	}
	a, err := s.accounts.Open(ctx, ledger.NewAccount{
		Mode: m.Mode, Currency: c, Owner: ledger.OwnerMerchant, OwnerID: m.ID, Kind: ledger.KindPayable,
	})
	if err != nil {
		return 0, fmt.Errorf("merchant's account: %w", err)
	}
	// One that is made in a transaction is there when that has committed.
	s.db.After(ctx, func() { s.payable.Add(key, a) })
	return a, nil
}

// record keeps the books of those who act on others.
func (s *Service) record(ctx context.Context, v auth.Viewer, action string, subjectID id.ID, detail any) error {
	return audit.Record(ctx, s.db, audit.Entry{
		By: v, Action: action, SubjectID: subjectID, Detail: detail, At: s.clock.Now(v.Mode),
	})
}
