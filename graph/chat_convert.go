package graph

import (
	"context"
	"iter"

	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/graph/scalar"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/chat"
)

func chatErrors(err error) ([]model.ChatUserError, error) {
	return userErrors(err, func(r refusal[model.ChatErrorCode]) model.ChatUserError { return model.ChatUserError(r) })
}

func fromAPIShare(in model.ProductCardShareInput) chat.ShareInput {
	return chat.ShareInput{
		ConversationID: ref("Conversation", in.ConversationID), Card: in.Card, Text: value(in.Text), IdempotencyKey: in.IdempotencyKey,
	}
}

func memberUser(m chat.Member) id.ID { return m.UserID }

func messageList(conversation id.ID) string { return "messages:" + conversation.String() }

func feedList(v auth.Viewer) string { return "feed:" + v.UserID.String() }

// follow gives the calling user's feed after a cursor.
func (r *Resolver) follow(ctx context.Context, after *string) (auth.Viewer, iter.Seq2[chat.Entry, error], error) {
	v, err := auth.Require(ctx, auth.User)
	if err != nil {
		return v, nil, err
	}
	from, err := seqOf(r.Cursors, feedList(v), after)
	if err != nil {
		return v, nil, err
	}
	seq, err := r.Chats.FollowFeed(ctx, v, from)
	return v, seq, err
}

// subject gives what an entry of a feed is about; nil when it is gone.
func (r *Resolver) subject(ctx context.Context, v auth.Viewer, e chat.Entry) (scalar.Union, error) {
	if e.Kind == chat.EntryOrder {
		return seen(r.Purchases.ByIDs(ctx, v, []id.ID{e.SubjectID}))
	}
	return seen(r.Chats.MessagesByIDs(ctx, v, []id.ID{e.SubjectID}))
}

// seen is the one object of a batch of one.
func seen[T any](found map[id.ID]T, err error) (scalar.Union, error) {
	for _, v := range found {
		return &v, err
	}
	return nil, err
}
