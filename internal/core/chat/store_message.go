package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/conversation"
	"github.com/soukhq/souk/ent/message"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
)

// message reads a message; an empty one when there is none.
func (s *Service) message(ctx context.Context, messageID id.ID) (Message, error) {
	r, err := s.db.Client(ctx).Message.Query().Where(message.ID(messageID)).Only(ctx)
	if ent.IsNotFound(err) {
		return Message{}, nil
	}
	if err != nil {
		return Message{}, fmt.Errorf("read message: %w", err)
	}
	return messageFromRow(r)
}

func (s *Service) messagesByIDs(ctx context.Context, ids []id.ID) (map[id.ID]Message, error) {
	rows, err := s.db.Client(ctx).Message.Query().Where(message.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	out := make(map[id.ID]Message, len(rows))
	for _, r := range rows {
		if out[r.ID], err = messageFromRow(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// messages reads up to one more than the slice asks for.
func (s *Service) messages(ctx context.Context, conversationID, userID id.ID, sl page.Slice) ([]Message, error) {
	q := s.db.Client(ctx).Message.Query().
		Where(message.ConversationID(conversationID), message.Or(message.OnlyForIDIsNil(), message.OnlyForID(userID))).
		Limit(sl.Limit + 1)
	if sl.After != nil {
		q = q.Where(message.SeqGT(SeqAt(sl.After)))
	}
	if sl.Before != nil {
		q = q.Where(message.SeqLT(SeqAt(sl.Before)))
	}
	rows, err := q.Order(message.BySeq(oldest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Message, len(rows))
	for i, r := range rows {
		if out[i], err = messageFromRow(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// oldest orders a list whose oldest item comes first, in the direction in which
// a slice is read.
func oldest(sl page.Slice) entsql.OrderTermOption {
	if sl.Backward {
		return entsql.OrderDesc()
	}
	return entsql.OrderAsc()
}

// insertMessage writes a message of a conversation that is locked, and moves the
// conversation's number on.
func (s *Service) insertMessage(ctx context.Context, m Message) error {
	kind, card, err := toCard(m)
	if err != nil {
		return err
	}
	err = s.db.Client(ctx).Conversation.Update().Where(conversation.ID(m.ConversationID)).SetLastSeq(m.Seq).Exec(ctx)
	if err != nil {
		return fmt.Errorf("count message: %w", err)
	}
	create := s.db.Client(ctx).Message.Create().
		SetID(m.ID).SetMode(m.Mode).SetConversationID(m.ConversationID).SetSeq(m.Seq).
		SetNillableSenderID(m.SenderID).SetNillableOnlyForID(m.OnlyForID).
		SetText(m.Text).SetCardType(kind).SetCreatedAt(m.CreatedAt)
	if card != nil {
		create.SetCard(card)
	}
	if err := create.Exec(ctx); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// concerning are the messages that a user wrote, or that only they may see.
func concerning(userID id.ID) predicate.Message {
	return message.Or(message.SenderID(userID), message.OnlyForID(userID))
}

// exportBatch is how many messages of an export are read at once.
const exportBatch = 500

// eachMessageOf reads a user's messages, conversation by conversation, until fn
// says that it is enough.
func (s *Service) eachMessageOf(ctx context.Context, userID id.ID, fn func(exportedMessage) bool) error {
	in, seq := id.Nil, int64(0)
	for {
		rows, err := s.messagesOf(ctx, userID, in, seq)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if !fn(exportFromRow(r)) {
				return nil
			}
		}
		if len(rows) < exportBatch {
			return nil
		}
		last := rows[len(rows)-1]
		in, seq = last.ConversationID, last.Seq
	}
}

// messagesOf reads those after a message of a conversation.
func (s *Service) messagesOf(ctx context.Context, userID, in id.ID, seq int64) ([]*ent.Message, error) {
	return s.db.Client(ctx).Message.Query().
		Where(concerning(userID), message.Or(
			message.ConversationIDGT(in),
			message.And(message.ConversationID(in), message.SeqGT(seq)),
		)).
		Order(ent.Asc(message.FieldConversationID, message.FieldSeq)).Limit(exportBatch).All(ctx)
}

func exportFromRow(r *ent.Message) exportedMessage {
	return exportedMessage{
		ID: id.Global("Message", r.ID), ConversationID: id.Global("Conversation", r.ConversationID), Seq: r.Seq,
		FromSouk: r.SenderID == nil, Text: r.Text, CardType: string(r.CardType), Card: r.Card, CreatedAt: r.CreatedAt,
	}
}

// replaceTexts puts a text in the place of every text that concerns a user, and
// takes the cards away that were for them alone.
func (s *Service) replaceTexts(ctx context.Context, userID id.ID, by string) error {
	err := s.db.Client(ctx).Message.Update().Where(concerning(userID)).SetText(by).Exec(ctx)
	if err != nil {
		return err
	}
	return s.db.Client(ctx).Message.Update().Where(message.OnlyForID(userID)).ClearCard().Exec(ctx)
}

// productRow is a product card as a message keeps it.
type productRow struct {
	Token      string         `json:"token"`
	MerchantID id.ID          `json:"merchantId"`
	ProductID  id.ID          `json:"productId"`
	SKU        string         `json:"sku"`
	Name       string         `json:"name"`
	PriceMinor int64          `json:"priceMinor"`
	Currency   money.Currency `json:"currency"`
	ExpiresAt  time.Time      `json:"expiresAt"`
}

// receiptRow is a receipt as a message keeps it.
type receiptRow struct {
	OrderID     id.ID          `json:"orderId"`
	BuyerID     id.ID          `json:"buyerId"`
	State       string         `json:"state"`
	Name        string         `json:"name"`
	AmountMinor int64          `json:"amountMinor"`
	Currency    money.Currency `json:"currency"`
}

func toCard(m Message) (message.CardType, json.RawMessage, error) {
	var (
		kind message.CardType
		row  any
	)
	switch {
	case m.Product != nil:
		p := m.Product
		kind, row = message.CardTypePRODUCT, productRow{
			p.Token, p.MerchantID, p.ProductID, p.SKU, p.Name, p.Price.Minor, p.Price.Currency, p.ExpiresAt,
		}
	case m.Receipt != nil:
		p := m.Receipt
		kind, row = message.CardTypeRECEIPT, receiptRow{
			p.OrderID, p.BuyerID, p.State, p.Name, p.Amount.Minor, p.Amount.Currency,
		}
	default:
		return message.CardTypeNONE, nil, nil
	}
	card, err := json.Marshal(row)
	if err != nil {
		return "", nil, fmt.Errorf("encode card: %w", err)
	}
	return kind, card, nil
}

func messageFromRow(r *ent.Message) (Message, error) {
	m := Message{
		ID: r.ID, Mode: r.Mode, ConversationID: r.ConversationID, Seq: r.Seq, SenderID: r.SenderID, OnlyForID: r.OnlyForID,
		Text: r.Text, CreatedAt: r.CreatedAt,
	}
	if len(r.Card) == 0 { // none, or taken away when a user was erased
		return m, nil
	}
	var err error
	switch r.CardType {
	case message.CardTypePRODUCT:
		var p productRow
		err = json.Unmarshal(r.Card, &p)
		m.Product = &ProductCard{
			p.Token, p.MerchantID, p.ProductID, p.SKU, p.Name, money.Amount{Minor: p.PriceMinor, Currency: p.Currency}, p.ExpiresAt,
		}
	case message.CardTypeRECEIPT:
		var p receiptRow
		err = json.Unmarshal(r.Card, &p)
		m.Receipt = &ReceiptCard{p.OrderID, p.BuyerID, p.State, p.Name, money.Amount{Minor: p.AmountMinor, Currency: p.Currency}}
	}
	if err != nil {
		return Message{}, fmt.Errorf("read card of message %s: %w", r.ID, err)
	}
	return m, nil
}
