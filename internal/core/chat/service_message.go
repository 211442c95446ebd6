package chat

import (
	"context"
	"fmt"
	"slices"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
)

// Send writes a message of the viewer's into a conversation of theirs. The same
// idempotency key with the same input gives the message that is there. Only for
// users.
//
// Refusals: CONVERSATION_NOT_FOUND, TEXT_INVALID, IDEMPOTENCY_KEY_INVALID,
// IDEMPOTENCY_MISMATCH.
func (s *Service) Send(ctx context.Context, v auth.Viewer, in SendInput) (Message, error) {
	if err := only(v, auth.User); err != nil {
		return Message{}, err
	}
	m, err := in.draft(v)
	if err != nil {
		return Message{}, err
	}
	if m, err = s.write(ctx, m); err != nil {
		return Message{}, fmt.Errorf("send message: %w", err)
	}
	return m, nil
}

// ShareCard posts a merchant's product card into a conversation of the viewer's,
// if something can be bought by it now. The same idempotency key with the same
// input gives the message that is there, whatever became of the card. Only for
// users.
//
// Refusals: CONVERSATION_NOT_FOUND, TEXT_INVALID, IDEMPOTENCY_KEY_INVALID,
// IDEMPOTENCY_MISMATCH, CARD_INVALID, CARD_EXPIRED, CARD_STALE,
// MERCHANT_SUSPENDED.
func (s *Service) ShareCard(ctx context.Context, v auth.Viewer, in ShareInput) (Message, error) {
	if err := only(v, auth.User); err != nil {
		return Message{}, err
	}
	asked, err := in.draft(v)
	if err != nil {
		return Message{}, err
	}
	m, err := s.share(ctx, v, asked)
	if err != nil {
		return Message{}, fmt.Errorf("share card: %w", err)
	}
	return m, nil
}

func (s *Service) share(ctx context.Context, v auth.Viewer, asked Message) (Message, error) {
	if there, err := s.repeated(ctx, asked); there.Seq > 0 || err != nil {
		return there, err
	}
	if _, err := s.visible(ctx, v, asked.ConversationID); err != nil {
		return Message{}, err
	}
	card, err := s.with.Cards.CheckCard(ctx, v.Mode, asked.Product.Token)
	if err != nil {
		return Message{}, err
	}
	card.Token = asked.Product.Token
	asked.Product = &card
	return s.write(ctx, asked)
}

// repeated finds the message that an earlier request has written; its number is 0
// when there is none. What Souk posts is named by what it tells, and is the same
// by that.
func (s *Service) repeated(ctx context.Context, asked Message) (Message, error) {
	there, err := s.message(ctx, asked.ID)
	if err != nil || there.Seq == 0 {
		return Message{}, err
	}
	if asked.SenderID != nil && !there.sameAs(asked) {
		return Message{}, ErrIdempotency
	}
	return there, nil
}

// PostInput is a message of Souk's own.
type PostInput struct {
	ID             id.ID // derived from what it tells (id.Of), so that it is posted once
	ConversationID id.ID
	OnlyForID      *id.ID // the one member who may see it; nil: all
	Text           string
	Receipt        *ReceiptCard
}

// Post writes a message of Souk's own, such as a receipt. One that was posted
// before is given as it is. It is for Souk's own parts and asks no permission.
//
// Refusals: CONVERSATION_NOT_FOUND when it was removed, or when the only one who
// may see the message is no longer in it.
func (s *Service) Post(ctx context.Context, in PostInput) (Message, error) {
	m, err := s.write(ctx, Message{
		ID: in.ID, ConversationID: in.ConversationID, OnlyForID: in.OnlyForID, Text: in.Text, Receipt: in.Receipt,
	})
	if err != nil {
		return Message{}, fmt.Errorf("post message: %w", err)
	}
	return m, nil
}

// write gives a message the next number of its conversation, and its members
// word of it.
func (s *Service) write(ctx context.Context, asked Message) (m Message, err error) {
	err = s.settle(ctx, func(ctx context.Context) error {
		// Locking first keeps two requests with one idempotency key apart.
		c, missing := s.lock(ctx, asked.ConversationID)
		if m, err = s.repeated(ctx, asked); m.Seq > 0 || err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		members, err := s.memberIDs(ctx, c.ID)
		if err != nil {
			return err
		}
		readers, err := asked.readers(members)
		if err != nil {
			return err
		}
		m = asked
		m.Mode, m.Seq, m.CreatedAt = c.Mode, c.LastSeq+1, s.clock.Now(c.Mode)
		if err := s.insertMessage(ctx, m); err != nil {
			return err
		}
		s.wake(ctx, conversationTopic(c.ID))
		return s.enter(ctx, readers, Entry{Kind: EntryMessage, SubjectID: m.ID})
	})
	return m, err
}

// readers gives those of the members who may see the message; without its writer
// or its only reader among them it may not be written.
func (m Message) readers(members []id.ID) ([]id.ID, error) {
	for _, needed := range []*id.ID{m.SenderID, m.OnlyForID} {
		if needed != nil && !slices.Contains(members, *needed) {
			return nil, ErrNotFound
		}
	}
	if m.OnlyForID != nil {
		return []id.ID{*m.OnlyForID}, nil
	}
	return members, nil
}

// MessagesByIDs reads those of the messages that the viewer may see.
func (s *Service) MessagesByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Message, error) {
	found, err := s.messagesByIDs(ctx, ids)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var in []id.ID
	for _, m := range found {
		in = append(in, m.ConversationID)
	}
	seen, err := s.ByIDs(ctx, v, unique(in))
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		if _, ok := seen[m.ConversationID]; !ok || !m.visibleTo(v.UserID) {
			delete(found, m.ID)
		}
	}
	return found, nil
}

// Messages lists the messages of a conversation that the viewer may see, oldest
// first. Positions are those of [MessagePosition].
//
// Refusals: CONVERSATION_NOT_FOUND.
func (s *Service) Messages(ctx context.Context, v auth.Viewer, conversationID id.ID, sl page.Slice) (page.List[Message], error) {
	if _, err := s.visible(ctx, v, conversationID); err != nil {
		return page.List[Message]{}, err
	}
	rows, err := s.messages(ctx, conversationID, v.UserID, sl)
	if err != nil {
		return page.List[Message]{}, fmt.Errorf("messages: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// MessagesAfter reads up to limit messages of a conversation that the viewer may
// see and that were written after the one with the number seq, oldest first.
//
// Refusals: CONVERSATION_NOT_FOUND, CURSOR_EXPIRED when it never had so many.
func (s *Service) MessagesAfter(ctx context.Context, v auth.Viewer, conversationID id.ID, seq int64, limit int) ([]Message, error) {
	c, err := s.visible(ctx, v, conversationID)
	if err != nil {
		return nil, err
	}
	if seq > c.LastSeq {
		return nil, ErrCursorExpired
	}
	list, err := s.messages(ctx, conversationID, v.UserID, page.Slice{Limit: limit - 1, After: SeqPosition(seq)})
	if err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	return list, nil
}
