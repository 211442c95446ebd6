package chat

import (
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/text"
)

// Limits of what is kept of a conversation.
const (
	TitleMax      = 200  // characters
	TextMax       = 4000 // characters
	MembersMax    = 500
	ExternalIDMax = 255 // bytes
	KeyMax        = 255 // bytes of an idempotency key
)

// Conversation is where users talk.
type Conversation struct {
	ID         id.ID
	Mode       mode.Mode
	Issuer     string // of the chat app that knows it
	ExternalID string // the chat app's own name for it
	Title      string
	LastSeq    int64 // number of its newest message
	CreatedAt  time.Time
}

// ConversationPosition is where a conversation stands in a user's list.
func ConversationPosition(c Conversation) []byte { return c.ID[:] }

// Member is a user's place in a conversation.
type Member struct {
	ID             id.ID // names the membership
	ConversationID id.ID
	UserID         id.ID
	JoinedAt       time.Time
}

// MemberPosition is where a member stands in the list of a conversation.
func MemberPosition(m Member) []byte { return m.ID[:] }

// Message is what the chat app draws: text, and at times a card.
type Message struct {
	ID             id.ID
	Mode           mode.Mode
	ConversationID id.ID
	Seq            int64  // 1, 2, 3… in its conversation
	SenderID       *id.ID // nil: Souk itself
	OnlyForID      *id.ID // the one member who may see it; nil: all
	Text           string
	Product        *ProductCard
	Receipt        *ReceiptCard
	CreatedAt      time.Time
}

// MessagePosition is where a message stands in its conversation.
func MessagePosition(m Message) []byte { return SeqPosition(m.Seq) }

// visibleTo tells whether a member may see the message.
func (m Message) visibleTo(userID id.ID) bool { return m.OnlyForID == nil || *m.OnlyForID == userID }

// sameAs tells whether a repeated request asks for what the message is.
func (m Message) sameAs(asked Message) bool {
	return m.ConversationID == asked.ConversationID && m.Text == asked.Text && m.cardToken() == asked.cardToken()
}

func (m Message) cardToken() string {
	if m.Product == nil {
		return ""
	}
	return m.Product.Token
}

// ProductCard is a product that a merchant offers: what its signed card said.
type ProductCard struct {
	Token      string // JWS, compact
	MerchantID id.ID
	ProductID  id.ID
	SKU        string
	Name       string
	Price      money.Amount
	ExpiresAt  time.Time
}

// ReceiptCard is what came of a purchase.
type ReceiptCard struct {
	OrderID id.ID
	BuyerID id.ID // only the buyer is shown the order
	State   string
	Name    string // of what was bought
	Amount  money.Amount
}

// NewConversation is what a server says of a conversation.
type NewConversation struct {
	ExternalID string
	Title      string
	MemberIDs  []id.ID
}

// clean checks the conversation, takes space from around the title and repeated
// members out.
func (n NewConversation) clean() (NewConversation, error) {
	if !text.Token(n.ExternalID, ExternalIDMax) {
		return n, ErrText.In("externalId")
	}
	title, ok := text.Line(n.Title, TitleMax)
	if !ok {
		return n, ErrText.In("title")
	}
	n.Title = title
	if n.MemberIDs = unique(n.MemberIDs); len(n.MemberIDs) < 1 || len(n.MemberIDs) > MembersMax {
		return n, ErrMemberLimit.In("memberIds")
	}
	return n, nil
}

// unique keeps the first of each id, in their order.
func unique(ids []id.ID) []id.ID {
	seen := make(map[id.ID]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(u id.ID) bool {
		twice := seen[u]
		seen[u] = true
		return twice
	})
}

// SendInput is a message to write.
type SendInput struct {
	ConversationID id.ID
	Text           string
	IdempotencyKey string
}

// draft is the message that the viewer asks for.
func (in SendInput) draft(v auth.Viewer) (Message, error) {
	if err := checkKey(in.IdempotencyKey); err != nil {
		return Message{}, err
	}
	words, ok := text.Prose(in.Text, TextMax)
	if !ok {
		return Message{}, ErrText.In("text")
	}
	return draft(v, in.ConversationID, words, id.Of("message", v.UserID.String(), "send", in.IdempotencyKey)), nil
}

// ShareInput is a product card to share.
type ShareInput struct {
	ConversationID id.ID
	Card           string // the merchant's signed statement
	Text           string // may be empty
	IdempotencyKey string
}

// draft is the message that the viewer asks for, with a card that is not checked
// yet.
func (in ShareInput) draft(v auth.Viewer) (Message, error) {
	if err := checkKey(in.IdempotencyKey); err != nil {
		return Message{}, err
	}
	words, ok := text.Prose(in.Text, TextMax)
	if !ok && words != "" {
		return Message{}, ErrText.In("text")
	}
	m := draft(v, in.ConversationID, words, id.Of("message", v.UserID.String(), "share", in.IdempotencyKey))
	m.Product = &ProductCard{Token: in.Card}
	return m, nil
}

func draft(v auth.Viewer, conversationID id.ID, words string, as id.ID) Message {
	return Message{ID: as, Mode: v.Mode, ConversationID: conversationID, SenderID: &v.UserID, Text: words}
}

func checkKey(key string) error {
	if len(key) < 1 || len(key) > KeyMax {
		return ErrKeyInvalid
	}
	return nil
}

// GlobalID is how the outside names it.
func (c Conversation) GlobalID() string { return id.Global("Conversation", c.ID) }

// GlobalID is how the outside names it.
func (m Message) GlobalID() string { return id.Global("Message", m.ID) }
