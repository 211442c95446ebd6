// Package connection has the Go types of the schema's connections: one generic
// type, named for each list. They are values of the API, not of a domain.
package connection

import (
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/core/user"
	"github.com/soukhq/souk/internal/core/wallet"
	"github.com/soukhq/souk/internal/core/webhook"
)

// Connection is a page of a list, as the Relay connection specification has it.
type Connection[T any] struct {
	Edges    []Edge[T]
	Nodes    []T
	PageInfo PageInfo
}

// Edge is an item of a list with its place there.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// PageInfo says where a page stands in its list.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// Of makes a connection of a page whose items are nodes. Cursors bind a position
// to the list's name.
func Of[T any](cursors *page.Signer, list string, p page.List[T], position func(T) []byte) *Connection[T] {
	return Map(cursors, list, p, position, func(v T) T { return v })
}

// Map makes a connection of a page whose items name its nodes.
func Map[T, N any](cursors *page.Signer, list string, p page.List[T], position func(T) []byte, node func(T) N) *Connection[N] {
	c := &Connection[N]{
		Edges:    make([]Edge[N], len(p.Items)),
		Nodes:    make([]N, len(p.Items)),
		PageInfo: PageInfo{HasNextPage: p.HasNext, HasPreviousPage: p.HasPrev},
	}
	for i, item := range p.Items {
		n := node(item)
		c.Edges[i], c.Nodes[i] = Edge[N]{Cursor: cursors.Cursor(list, position(item)), Node: n}, n
	}
	if n := len(c.Edges); n > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[n-1].Cursor
	}
	return c
}

// The schema's connections and their edges.
type (
	// UserConnection is a page of users.
	UserConnection = Connection[user.User]
	// UserEdge is a user in a list.
	UserEdge = Edge[user.User]
	// DeviceConnection is a page of devices.
	DeviceConnection = Connection[user.Device]
	// DeviceEdge is a device in a list.
	DeviceEdge = Edge[user.Device]
	// ConversationConnection is a page of conversations.
	ConversationConnection = Connection[chat.Conversation]
	// ConversationEdge is a conversation in a list.
	ConversationEdge = Edge[chat.Conversation]
	// MessageConnection is a page of messages.
	MessageConnection = Connection[chat.Message]
	// MessageEdge is a message in a list.
	MessageEdge = Edge[chat.Message]
	// ProductConnection is a page of products.
	ProductConnection = Connection[merchant.Product]
	// ProductEdge is a product in a list.
	ProductEdge = Edge[merchant.Product]
	// OrderConnection is a page of orders.
	OrderConnection = Connection[purchase.Order]
	// OrderEdge is an order in a list.
	OrderEdge = Edge[purchase.Order]
	// RefundConnection is a page of refunds.
	RefundConnection = Connection[purchase.Refund]
	// RefundEdge is a refund in a list.
	RefundEdge = Edge[purchase.Refund]
	// FundingSourceConnection is a page of funding sources.
	FundingSourceConnection = Connection[wallet.Source]
	// FundingSourceEdge is a funding source in a list.
	FundingSourceEdge = Edge[wallet.Source]
	// FundingTransferConnection is a page of top-ups and returns.
	FundingTransferConnection = Connection[wallet.Transfer]
	// FundingTransferEdge is a top-up or return in a list.
	FundingTransferEdge = Edge[wallet.Transfer]
	// StatementLineConnection is a page of a statement.
	StatementLineConnection = Connection[ledger.Line]
	// StatementLineEdge is a line of a statement.
	StatementLineEdge = Edge[ledger.Line]
	// WebhookEndpointConnection is a page of webhook endpoints.
	WebhookEndpointConnection = Connection[webhook.Endpoint]
	// WebhookEndpointEdge is a webhook endpoint in a list.
	WebhookEndpointEdge = Edge[webhook.Endpoint]
	// WebhookDeliveryConnection is a page of deliveries.
	WebhookDeliveryConnection = Connection[webhook.Delivery]
	// WebhookDeliveryEdge is a delivery in a list.
	WebhookDeliveryEdge = Edge[webhook.Delivery]
)
