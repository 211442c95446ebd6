package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
)

// Config sets the service's rules.
type Config struct {
	// EventTypes are the types that there are.
	EventTypes []string
	// RetryFor is how long after its first attempt a delivery is tried again;
	// 0 leaves it to the schedule of outbound.Backoff.
	RetryFor time.Duration
	// Lease is how long a claimed delivery is left to its claimer; 0 means 2
	// minutes. It must be longer than a claimed delivery waits for its attempt.
	Lease time.Duration
	// Random gives the jitter of retries, in [0, 1); nil means the machine's.
	Random func() float64
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	if len(c.EventTypes) == 0 || c.RetryFor < 0 || c.Lease < 0 {
		return errors.New("webhook: no types of events, or a negative time")
	}
	return nil
}

// Web is the way to the endpoints.
type Web interface {
	// Do sends a request and reads the whole answer.
	Do(ctx context.Context, r outbound.Request) (outbound.Response, error)
	// ValidateURL tells whether a URL may be registered.
	ValidateURL(raw string) error
}

// Service keeps endpoints and delivers events to them.
type Service struct {
	db       *store.DB
	clock    clock.Clock
	sealer   seal.Sealer
	web      Web
	cfg      Config
	schedule schedule
	wake     chan struct{}
}

// Deps is what the service leans on.
type Deps struct {
	DB     *store.DB
	Clock  clock.Clock
	Sealer seal.Sealer
	Web    Web
}

// New makes the service.
func New(d Deps, cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Lease == 0 {
		cfg.Lease = 2 * time.Minute
	}
	return &Service{
		db: d.DB, clock: d.Clock, sealer: d.Sealer, web: d.Web, cfg: cfg,
		schedule: schedule{cfg.RetryFor, cfg.Random}, wake: make(chan struct{}, 1),
	}, nil
}

// Create adds an endpoint of the calling merchant. Its secret is given this once.
//
// Refusals: URL_INVALID, EVENT_TYPE_UNKNOWN, ENDPOINT_LIMIT.
func (s *Service) Create(ctx context.Context, v auth.Viewer, url string, eventTypes []string) (Endpoint, string, error) {
	if err := owner(v); err != nil {
		return Endpoint{}, "", err
	}
	if err := s.web.ValidateURL(url); err != nil {
		return Endpoint{}, "", ErrURL.Because(err)
	}
	types, err := s.known(eventTypes)
	if err != nil {
		return Endpoint{}, "", err
	}
	now := s.clock.Now(v.Mode)
	e := Endpoint{
		ID: id.New(), Mode: v.Mode, OwnerID: v.MerchantID, URL: url, EventTypes: types, Status: Enabled, CreatedAt: now, UpdatedAt: now,
	}
	secret := NewSecret()
	if e.secret, err = s.sealer.Seal([]byte(secret), secretContext(e.ID)); err != nil {
		return Endpoint{}, "", fmt.Errorf("seal secret: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		// The counter is locked until the commit: two creations at once stand in
		// line, and the second one counts the first.
		if _, err := s.db.NextNumber(ctx, "webhook endpoints of "+e.OwnerID.String()); err != nil {
			return err
		}
		n, err := s.countEndpoints(ctx, e.OwnerID)
		if err != nil {
			return err
		}
		if n >= EndpointMax {
			return ErrLimit
		}
		return s.insert(ctx, e)
	})
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("create endpoint: %w", err)
	}
	return e, secret, nil
}

// Update changes an endpoint of the calling merchant, disables or enables it.
//
// Refusals: ENDPOINT_NOT_FOUND, URL_INVALID, EVENT_TYPE_UNKNOWN.
func (s *Service) Update(ctx context.Context, v auth.Viewer, endpointID id.ID, c Change) (Endpoint, error) {
	if err := owner(v); err != nil {
		return Endpoint{}, err
	}
	if c.URL != nil {
		if err := s.web.ValidateURL(*c.URL); err != nil {
			return Endpoint{}, ErrURL.Because(err)
		}
	}
	var types []string
	if c.EventTypes != nil {
		var err error
		if types, err = s.known(*c.EventTypes); err != nil {
			return Endpoint{}, err
		}
	}
	return s.change(ctx, v, endpointID, func(e *Endpoint) error {
		if c.URL != nil {
			e.URL = *c.URL
		}
		if c.EventTypes != nil {
			e.EventTypes = types
		}
		if c.Enabled != nil && *c.Enabled != (e.Status == Enabled) {
			e.enable(*c.Enabled)
		}
		return nil
	})
}

// RotateSecret gives an endpoint of the calling merchant a new secret, which is
// given this once. For SecretOverlap the one before signs beside it.
//
// Refusals: ENDPOINT_NOT_FOUND.
func (s *Service) RotateSecret(ctx context.Context, v auth.Viewer, endpointID id.ID) (Endpoint, string, error) {
	if err := owner(v); err != nil {
		return Endpoint{}, "", err
	}
	secret := NewSecret()
	e, err := s.change(ctx, v, endpointID, func(e *Endpoint) (err error) {
		until := s.clock.Now(e.Mode).Add(SecretOverlap)
		e.PreviousSecretUntil = &until
		if e.previous, err = seal.Move(s.sealer, e.secret, secretContext(e.ID), previousContext(e.ID)); err != nil {
			return err
		}
		e.secret, err = s.sealer.Seal([]byte(secret), secretContext(e.ID))
		return err
	})
	if err != nil {
		return Endpoint{}, "", err
	}
	return e, secret, nil
}

// change locks an endpoint of the viewer's, lets fn change it, and saves it.
func (s *Service) change(ctx context.Context, v auth.Viewer, endpointID id.ID, fn func(*Endpoint) error) (e Endpoint, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if e, err = s.lockEndpoint(ctx, endpointID); err != nil {
			return err
		}
		if e.OwnerID != v.MerchantID {
			return ErrNotFound
		}
		if err := fn(&e); err != nil {
			return err
		}
		e.UpdatedAt = s.clock.Now(e.Mode)
		return s.save(ctx, e)
	})
	if err != nil {
		return Endpoint{}, fmt.Errorf("change endpoint: %w", err)
	}
	return e, nil
}

// Endpoints lists the calling merchant's endpoints, newest first. Positions are
// those of [EndpointPosition].
func (s *Service) Endpoints(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Endpoint], error) {
	if err := owner(v); err != nil {
		return page.List[Endpoint]{}, err
	}
	rows, err := s.endpointsOf(ctx, v.MerchantID, sl)
	if err != nil {
		return page.List[Endpoint]{}, fmt.Errorf("endpoints: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// EndpointPosition is where an endpoint stands in its owner's list.
func EndpointPosition(e Endpoint) []byte { return e.ID[:] }

// EndpointsByIDs reads those of the endpoints that are the viewer's.
func (s *Service) EndpointsByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Endpoint, error) {
	if !isOwner(v) {
		return nil, nil
	}
	return s.endpointsByIDs(ctx, v.MerchantID, ids)
}

// Reseal seals again the secrets that an older key of the keyset had sealed, and
// tells how many endpoints it changed.
func (s *Service) Reseal(ctx context.Context) (int, error) {
	n, err := store.Walk(ctx, s.db, s.lockAfter, func(ctx context.Context, e Endpoint) (id.ID, bool, error) {
		current, renewed, err := seal.Renew(s.sealer, e.secret, secretContext(e.ID))
		if err != nil {
			return e.ID, false, err
		}
		previous, also, err := seal.Renew(s.sealer, e.previous, previousContext(e.ID))
		if err != nil || !renewed && !also {
			return e.ID, false, err
		}
		e.secret, e.previous = current, previous
		return e.ID, true, s.save(ctx, e)
	})
	if err != nil {
		return n, fmt.Errorf("reseal webhook secrets: %w", err)
	}
	return n, nil
}

// known checks types of events and puts them in order, each once.
func (s *Service) known(eventTypes []string) ([]string, error) {
	out := []string{}
	for _, t := range eventTypes {
		if !slices.Contains(s.cfg.EventTypes, t) {
			return nil, ErrEventType
		}
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out, nil
}

// isOwner tells whether a viewer may have endpoints.
func isOwner(v auth.Viewer) bool { return v.Is(auth.Merchant) }

func owner(v auth.Viewer) error {
	if !isOwner(v) {
		return errs.ErrForbidden
	}
	return nil
}

// The contexts bind a secret to its row and column.
func secretContext(endpoint id.ID) []byte {
	return seal.Context("webhook_endpoints", endpoint.String(), "secret")
}

func previousContext(endpoint id.ID) []byte {
	return seal.Context("webhook_endpoints", endpoint.String(), "previous_secret")
}

// secrets gives what an endpoint's messages are signed with now, the newest
// first.
func (s *Service) secrets(e Endpoint) ([]string, error) {
	current, err := s.sealer.Open(e.secret, secretContext(e.ID))
	if err != nil {
		return nil, fmt.Errorf("open secret of endpoint %s: %w", e.ID, err)
	}
	out := []string{string(current)}
	if e.previous == nil || e.PreviousSecretUntil == nil || !s.clock.Now(e.Mode).Before(*e.PreviousSecretUntil) {
		return out, nil
	}
	previous, err := s.sealer.Open(e.previous, previousContext(e.ID))
	if err != nil {
		return nil, fmt.Errorf("open previous secret of endpoint %s: %w", e.ID, err)
	}
	return append(out, string(previous)), nil
}

// now gives the live time, by which messages are stamped.
func (s *Service) now() time.Time { return s.clock.Now(mode.Live) }
