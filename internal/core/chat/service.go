package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/pubsub"
	"github.com/soukhq/souk/internal/base/store"
)

// Service keeps conversations, messages and feeds.
type Service struct {
	db    *store.DB
	clock clock.Clock
	bus   *pubsub.Bus
	with  Neighbours
	pace  pace
}

// New makes the service.
func New(db *store.DB, c clock.Clock, bus *pubsub.Bus, n Neighbours) *Service {
	return &Service{db: db, clock: c, bus: bus, with: n, pace: usualPace}
}

// Neighbours are the parts that chat asks.
type Neighbours struct {
	Users Users
	Cards CardChecker
}

// Users knows who may be a member.
type Users interface {
	// LockUsers tells of those of the ids that are users of a mode and issuer
	// whether they are active. That stays so until the transaction of ctx ends.
	LockUsers(ctx context.Context, m mode.Mode, issuer string, ids []id.ID) (map[id.ID]bool, error)
}

// CardChecker reads a merchant's signed product card.
type CardChecker interface {
	// CheckCard gives what the card says if a product can be bought by it now.
	// Refusals: CARD_INVALID, CARD_EXPIRED, CARD_STALE, MERCHANT_SUSPENDED.
	CheckCard(ctx context.Context, m mode.Mode, token string) (ProductCard, error)
}

// ByIDs reads those of the conversations that the viewer may see: a user those
// that they are in, a server those of its mode and issuer.
func (s *Service) ByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Conversation, error) {
	switch v.Kind {
	case auth.User:
		return s.conversationsOf(ctx, v.UserID, ids)
	case auth.Service, auth.Operator:
		return s.conversationsIn(ctx, v.Mode, v.Issuer, ids)
	default:
		return nil, nil
	}
}

// visible gives a conversation that the viewer may see.
func (s *Service) visible(ctx context.Context, v auth.Viewer, conversationID id.ID) (Conversation, error) {
	found, err := s.ByIDs(ctx, v, []id.ID{conversationID})
	if err != nil {
		return Conversation{}, err
	}
	c, ok := found[conversationID]
	if !ok {
		return Conversation{}, ErrNotFound
	}
	return c, nil
}

// Conversations lists those that the viewer is in, newest first. Positions are
// those of [ConversationPosition]. Only for users.
func (s *Service) Conversations(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Conversation], error) {
	if err := only(v, auth.User); err != nil {
		return page.List[Conversation]{}, err
	}
	rows, err := s.conversations(ctx, v.UserID, sl)
	if err != nil {
		return page.List[Conversation]{}, fmt.Errorf("conversations: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// Members lists who is in a conversation, in the order of joining. Positions are
// those of [MemberPosition].
//
// Refusals: CONVERSATION_NOT_FOUND.
func (s *Service) Members(ctx context.Context, v auth.Viewer, conversationID id.ID, sl page.Slice) (page.List[Member], error) {
	if _, err := s.visible(ctx, v, conversationID); err != nil {
		return page.List[Member]{}, err
	}
	rows, err := s.members(ctx, conversationID, sl)
	if err != nil {
		return page.List[Member]{}, fmt.Errorf("members: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// Companions gives those of the ids who share a conversation with the user.
func (s *Service) Companions(ctx context.Context, userID id.ID, ids []id.ID) ([]id.ID, error) {
	found, err := s.companions(ctx, userID, ids)
	if err != nil {
		return nil, fmt.Errorf("companions: %w", err)
	}
	return found, nil
}

// only lets viewers of some kinds through.
func only(v auth.Viewer, kinds ...auth.Kind) error {
	switch {
	case v.Is(kinds...):
		return nil
	case v.Is(auth.Anonymous):
		return errs.ErrUnauthenticated
	default:
		return errs.ErrForbidden
	}
}

func server(v auth.Viewer) error { return only(v, auth.Service, auth.Operator) }

func userTopic(userID id.ID) string                 { return "user:" + userID.String() }
func conversationTopic(conversationID id.ID) string { return "conversation:" + conversationID.String() }

// wake wakes those who follow the topics once the transaction of ctx has
// committed.
func (s *Service) wake(ctx context.Context, topics ...string) {
	s.db.After(ctx, func() {
		for _, topic := range topics {
			s.bus.Publish(context.WithoutCancel(ctx), topic, nil)
		}
	})
}

const maxTries = 3

// settle runs fn in a transaction, and again when another one was faster to
// insert the same row: fn then finds what that one wrote.
func (s *Service) settle(ctx context.Context, fn func(context.Context) error) error {
	var err error
	for range maxTries {
		if err = s.db.InTx(ctx, fn); !store.IsUnique(err) {
			return err
		}
	}
	return errs.ErrUnavailable.Because(err)
}

// pace is how followers take turns when no signal wakes them.
type pace struct {
	poll  time.Duration // between looks while signals arrive
	alone time.Duration // between looks while other processes cannot be heard
	retry time.Duration // after a failed look
	tries int           // failed looks in a row before a follower gives up
}

var usualPace = pace{poll: 30 * time.Second, alone: 3 * time.Second, retry: time.Second, tries: 30}
