package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/core/wallet"
	"github.com/soukhq/souk/internal/core/webhook"
)

// The types below fit one domain's services to what another asks for.

// cardChecker lets chat check product cards.
type cardChecker struct{ merchants *merchant.Service }

func (c cardChecker) CheckCard(ctx context.Context, m mode.Mode, token string) (chat.ProductCard, error) {
	card, product, seller, err := c.merchants.VerifyCard(ctx, m, token)
	if err != nil {
		return chat.ProductCard{}, err
	}
	return chat.ProductCard{
		Token: token, MerchantID: seller.ID, ProductID: product.ID, SKU: product.SKU, Name: card.Name, Price: card.Price, ExpiresAt: card.ExpiresAt,
	}, nil
}

// sources lets purchases find what pays.
type sources struct{ wallets *wallet.Service }

func (s sources) Source(ctx context.Context, userID, sourceID id.ID) (purchase.Source, error) {
	src, err := s.wallets.Source(ctx, userID, sourceID)
	return purchase.Source{Account: src.Account, Currency: src.Currency}, err
}

// conversations lets purchases find where a receipt may go.
type conversations struct{ chat *chat.Service }

func (c conversations) IsMember(ctx context.Context, v auth.Viewer, conversationID id.ID) (bool, error) {
	found, err := c.chat.ByIDs(ctx, v, []id.ID{conversationID})
	return len(found) == 1, err
}

// tellers lets purchases tell buyers and merchants.
type tellers struct {
	chat      *chat.Service
	webhooks  *webhook.Service
	merchants *merchant.Service
}

func (t tellers) PostReceipt(ctx context.Context, r purchase.Receipt) error {
	buyer := r.BuyerID
	_, err := t.chat.Post(ctx, chat.PostInput{
		ID: id.Of("receipt", r.EventID.String()), ConversationID: r.ConversationID, OnlyForID: &buyer, Text: r.Text,
		Receipt: &chat.ReceiptCard{OrderID: r.OrderID, BuyerID: r.BuyerID, State: string(r.State), Name: r.Name, Amount: r.Amount},
	})
	if errors.Is(err, chat.ErrNotFound) {
		return nil // it is gone, or the buyer has left it: nobody is there to read
	}
	return err
}

func (t tellers) AnnounceOrder(ctx context.Context, buyer, order id.ID, version int32) error {
	return t.chat.Announce(ctx, buyer, order, version)
}

func (t tellers) Dispatch(ctx context.Context, n purchase.Notice) error {
	_, err := t.webhooks.Dispatch(ctx, webhook.Event{ID: n.EventID, Mode: n.Mode, OwnerID: n.MerchantID, Type: n.Type, Data: n.Data, At: n.At})
	return err
}

func (t tellers) Pseudonym(buyer, merchantID id.ID) string {
	return t.merchants.Pseudonym(buyer, merchantID)
}

// derive makes a key for one use of a secret (HMAC as a PRF, NIST SP 800-108).
func derive(secret []byte, use string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(use))
	return h.Sum(nil)
}

// issuerClient reaches token issuers, which the operator names and which may
// live in the private network.
func issuerClient() *http.Client {
	direct := http.DefaultTransport.(*http.Transport).Clone()
	direct.Proxy = nil // whoever sets the environment must not supply the keys
	return &http.Client{
		Transport:     direct,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// redisLog gives the Redis library's own messages to the process's log.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis: " + fmt.Sprintf(format, v...))
}

func quietRedis(log *slog.Logger) { redis.SetLogger(redisLog{log}) }
