package graph

import (
	"context"
	"log/slog"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/core/user"
	"github.com/soukhq/souk/internal/core/wallet"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/platform/sandbox"
)

// Services is what resolvers call.
type Services struct {
	Log       *slog.Logger
	Cursors   *page.Signer
	Users     *user.Service
	Chats     *chat.Service
	Merchants *merchant.Service
	Purchases *purchase.Service
	Ledger    *ledger.Service
	Wallets   *wallet.Service
	Webhooks  *webhook.Service
	Sandboxes *sandbox.Service
}

// Resolver is the root of all resolvers: it holds the services that they call.
// No field may be named as a root field of the schema is, which would hide it.
type Resolver struct {
	Services
	// Registry finds objects by their global ids.
	Registry Nodes

	people    *Loader[id.ID, user.User]
	talks     *Loader[id.ID, chat.Conversation]
	sellers   *Loader[id.ID, merchant.Merchant]
	goods     *Loader[id.ID, merchant.Product]
	purchases *Loader[id.ID, purchase.Order]
	attempts  *Loader[id.ID, []webhook.Attempt]
	sources   *Loader[id.ID, wallet.Source]
	balances  *Loader[ledger.AccountID, ledger.Account]
	payables  *Loader[id.ID, []ledger.Account] // of merchants
	fundings  *Loader[id.ID, wallet.Transfer]
	endpoints *Loader[id.ID, webhook.Endpoint]
}

// NewResolver makes the resolvers of the services.
func NewResolver(s Services) *Resolver {
	return &Resolver{
		Services:  s,
		people:    NewLoader(s.Users.ByIDs),
		talks:     NewLoader(asViewer(s.Chats.ByIDs)),
		sellers:   NewLoader(s.Merchants.ByIDs),
		goods:     NewLoader(s.Merchants.ProductsByIDs),
		purchases: NewLoader(asViewer(s.Purchases.ByIDs)),
		attempts:  NewLoader(asViewer(s.Webhooks.Attempts)),
		sources:   NewLoader(asViewer(s.Wallets.ByIDs)),
		balances:  NewLoader(s.Wallets.Balances),
		payables:  NewLoader(payables(s.Ledger)),
		fundings:  NewLoader(asViewer(s.Wallets.TransfersByIDs)),
		endpoints: NewLoader(asViewer(s.Webhooks.EndpointsByIDs)),
		Registry: Nodes{
			"User":         NodesOf(asViewer(s.Users.Visible)),
			"Device":       NodesOf(asViewer(s.Users.DevicesByIDs)),
			"Conversation": NodesOf(asViewer(s.Chats.ByIDs)),
			"Message":      NodesOf(asViewer(s.Chats.MessagesByIDs)),
			"Merchant":     NodesOf(asViewer(s.Merchants.Visible)),
			"Product":      NodesOf(asViewer(s.Merchants.VisibleProducts)),
			"Order":        NodesOf(asViewer(s.Purchases.ByIDs)),
			"Refund":       NodesOf(asViewer(s.Purchases.RefundsByIDs)),

			"MerchantAccount": NodesOf(asViewer(merchantAccounts(s.Ledger))),
			"FundingSource":   NodesOf(asViewer(s.Wallets.ByIDs)),
			"FundingTransfer": NodesOf(asViewer(s.Wallets.TransfersByIDs)),
			"WebhookEndpoint": NodesOf(asViewer(s.Webhooks.EndpointsByIDs)),
			"WebhookDelivery": NodesOf(asViewer(s.Webhooks.DeliveriesByIDs)),
		},
	}
}

// asViewer gives a service's ByIDs the viewer of the operation.
func asViewer[T any](byIDs func(context.Context, auth.Viewer, []id.ID) (map[id.ID]T, error)) func(context.Context, []id.ID) (map[id.ID]T, error) {
	return func(ctx context.Context, ids []id.ID) (map[id.ID]T, error) {
		return byIDs(ctx, auth.FromContext(ctx), ids)
	}
}

// find loads one object of a list; nil if it is not there to be seen.
func find[T any](ctx context.Context, l *Loader[id.ID, T], key id.ID) (*T, error) {
	v, ok, err := l.Find(ctx, key)
	if err != nil || !ok {
		return nil, err
	}
	return &v, nil
}

// one reads one object that the viewer may see; nil if there is none.
func one[T any](ctx context.Context, byIDs func(context.Context, auth.Viewer, []id.ID) (map[id.ID]T, error), key id.ID) (*T, error) {
	found, err := byIDs(ctx, auth.FromContext(ctx), []id.ID{key})
	if v, ok := found[key]; ok && err == nil {
		return &v, nil
	}
	return nil, err
}

// ref reads the global id of a type that an input names. What names nothing is
// Nil, which no object has: services then say that it is not found.
func ref(typ, global string) id.ID {
	t, u, err := id.ParseGlobal(global)
	if err != nil || t != typ {
		return id.Nil
	}
	return u
}

// refs reads several.
func refs(typ string, globals []string) []id.ID {
	out := make([]id.ID, len(globals))
	for i, g := range globals {
		out[i] = ref(typ, g)
	}
	return out
}

// slice checks the paging arguments of a list.
func (r *Resolver) slice(list string, first *int, after *string, last *int, before *string) (page.Slice, error) {
	return r.Cursors.Slice(list, page.Args{First: first, After: after, Last: last, Before: before})
}
