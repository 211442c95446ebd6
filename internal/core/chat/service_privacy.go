package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
)

// PersonalData is what chat contributes to a user's personal data and to its
// erasure.
type PersonalData struct{ chat *Service }

// PersonalData gives chat's part in privacy.
func (s *Service) PersonalData() PersonalData { return PersonalData{s} }

// Section is where the export of a user's data has it.
func (PersonalData) Section() string { return "chat" }

// exportMax bounds the bytes of messages in an export, which is made in memory.
const exportMax = 16 << 20

type exported struct {
	Conversations []exportedConversation `json:"conversations"`
	Messages      []exportedMessage      `json:"messages"`
	Complete      bool                   `json:"complete"` // false: there are more messages than an export can hold
}

type exportedConversation struct {
	ID         string    `json:"id"`
	ExternalID string    `json:"externalId"`
	Title      string    `json:"title"`
	JoinedAt   time.Time `json:"joinedAt"`
}

type exportedMessage struct {
	ID             string          `json:"id"`
	ConversationID string          `json:"conversationId"`
	Seq            int64           `json:"seq"`
	FromSouk       bool            `json:"fromSouk"`
	Text           string          `json:"text"`
	CardType       string          `json:"cardType"`
	Card           json.RawMessage `json:"card,omitempty"`
	CreatedAt      time.Time       `json:"createdAt"`
}

// Export gives the conversations that the user is in, what they wrote, and what
// Souk wrote to them alone.
func (p PersonalData) Export(ctx context.Context, userID id.ID) (any, error) {
	memberships, err := p.chat.memberships(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	out := exported{Conversations: []exportedConversation{}, Messages: []exportedMessage{}, Complete: true}
	for _, m := range memberships {
		out.Conversations = append(out.Conversations, exportedConversation{
			ID: id.Global("Conversation", m.ID), ExternalID: m.ExternalID, Title: m.Title, JoinedAt: m.joinedAt,
		})
	}
	size := 0
	err = p.chat.eachMessageOf(ctx, userID, func(m exportedMessage) bool {
		size += len(m.Text) + len(m.Card)
		if out.Complete = size <= exportMax; out.Complete {
			out.Messages = append(out.Messages, m)
		}
		return out.Complete
	})
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return out, nil
}

// Blocks never objects: nothing in a conversation is worth money.
func (PersonalData) Blocks(context.Context, id.ID) error { return nil }

// erasedText stands where an erased user's words stood: the number of a message
// must not be missing, and others must see that something was said.
const erasedText = "[erased]"

// Erase replaces the user's words, and what Souk wrote to them alone, and
// forgets their feed.
func (p PersonalData) Erase(ctx context.Context, userID id.ID) error {
	return p.chat.db.InTx(ctx, func(ctx context.Context) error {
		if err := p.chat.replaceTexts(ctx, userID, erasedText); err != nil {
			return fmt.Errorf("replace texts: %w", err)
		}
		if err := p.chat.clearFeed(ctx, userID); err != nil {
			return fmt.Errorf("clear feed: %w", err)
		}
		return nil
	})
}
