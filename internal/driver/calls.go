package driver

import (
	"context"
	"encoding/json"
	"strconv"
)

// Money is an amount as the API carries it.
type Money struct {
	AmountMinor string `json:"amountMinor"`
	Currency    string `json:"currency"`
}

// Euro is an amount of euro cents.
func Euro(cents int64) Money { return Money{strconv.FormatInt(cents, 10), "EUR"} }

// Minor gives the amount as a number; 0 if it is none.
func (m Money) Minor() int64 {
	n, _ := strconv.ParseInt(m.AmountMinor, 10, 64)
	return n
}

// Order is an order as the documents of this package select it.
type Order struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Total     Money  `json:"total"`
	Refunded  Money  `json:"refunded"`
	Reference string `json:"reference"`
}

// Documents of the usual operations.
const (
	UserProvision = `mutation UserProvision($input: UserProvisionInput!) {
  userProvision(input: $input) { user { id displayName } created userErrors { code field message } }
}`
	ContactSet = `mutation ContactSet($input: ContactSetInput!) {
  contactSet(input: $input) { user { id } contact { id } userErrors { code field message } }
}`
	ConversationProvision = `mutation ConversationProvision($input: ConversationProvisionInput!) {
  conversationProvision(input: $input) { conversation { id title } userErrors { code field message } }
}`
	MerchantRegister = `mutation MerchantRegister($input: MerchantRegisterInput!) {
  merchantRegister(input: $input) { merchant { id name status } userErrors { code field message } }
}`
	ProductPut = `mutation ProductPut($input: ProductPutInput!) {
  productPut(input: $input) { product { id sku name price { amountMinor currency } } userErrors { code field message } }
}`
	WebhookEndpointCreate = `mutation WebhookEndpointCreate($input: WebhookEndpointCreateInput!) {
  webhookEndpointCreate(input: $input) { endpoint { id url } secret userErrors { code field message } }
}`
	FundingSourceAdd = `mutation FundingSourceAdd($input: FundingSourceAddInput!) {
  fundingSourceAdd(input: $input) { fundingSource { id kind label } userErrors { code field message } }
}`
	WalletTopUp = `mutation WalletTopUp($input: WalletTopUpInput!) {
  walletTopUp(input: $input) { fundingTransfer { id state amount { amountMinor currency } } replayed userErrors { code field message retry } }
}`
	ProductCardShare = `mutation ProductCardShare($input: ProductCardShareInput!) {
  productCardShare(input: $input) {
    message { id seq text card { __typename ... on ProductCard { token name price { amountMinor currency } } } }
    userErrors { code field message }
  }
}`
	PurchaseCreate = `mutation PurchaseCreate($input: PurchaseCreateInput!) {
  purchaseCreate(input: $input) {
    order { id state total { amountMinor currency } refunded { amountMinor currency } reference }
    replayed
    userErrors { code field message retry }
  }
}`
	OrderByKey = `query OrderByKey($key: String!) {
  orderByIdempotencyKey(idempotencyKey: $key) { id state total { amountMinor currency } refunded { amountMinor currency } reference }
}`
	OrderShow = `query OrderShow($id: ID!) {
  node(id: $id) {
    ... on Order {
      id state total { amountMinor currency } refunded { amountMinor currency } reference
      timeline { kind at detail }
    }
  }
}`
	FundingSources = `query FundingSources {
  viewer {
    fundingSources(first: 20) {
      nodes { id kind label currency balance { amountMinor currency } held { amountMinor currency } available { amountMinor currency } }
    }
  }
}`
	Conversation = `query Conversation($id: ID!) {
  node(id: $id) {
    ... on Conversation {
      title
      messages(last: 20) {
        nodes {
          seq text
          sender { displayName }
          card { __typename ... on ProductCard { name } ... on ReceiptCard { state amount { amountMinor currency } order { id state } } }
        }
      }
    }
  }
}`
)

// Mutate sends a mutation with one input and decodes its payload into out; its
// first refusal is an error, beside which the payload tells what else there is.
func (c *Client) Mutate(ctx context.Context, token, document string, input map[string]any, out any) error {
	var data map[string]json.RawMessage
	if err := c.Do(ctx, token, document, map[string]any{"input": input}, &data); err != nil {
		return err
	}
	for _, payload := range data { // there is one
		var refused struct {
			UserErrors []*UserError `json:"userErrors"`
		}
		if err := json.Unmarshal(payload, &refused); err != nil {
			return err
		}
		if out != nil {
			if err := json.Unmarshal(payload, out); err != nil {
				return err
			}
		}
		if len(refused.UserErrors) > 0 {
			return refused.UserErrors[0]
		}
	}
	return nil
}

type named struct {
	ID string `json:"id"`
}

// ProvisionUser makes a user, or finds the one of that name, and gives the id.
func (c *Client) ProvisionUser(ctx context.Context, service, externalID, name string) (string, error) {
	var p struct{ User named }
	err := c.Mutate(ctx, service, UserProvision, map[string]any{"externalId": externalID, "displayName": name}, &p)
	return p.User.ID, err
}

// AddSource adds a funding source and gives its id. railToken is empty for a
// wallet.
func (c *Client) AddSource(ctx context.Context, user, kind, label, railToken string) (string, error) {
	in := map[string]any{"kind": kind, "label": label, "currency": "EUR"}
	if railToken != "" {
		in["railToken"] = railToken
	}
	var p struct{ FundingSource named }
	err := c.Mutate(ctx, user, FundingSourceAdd, in, &p)
	return p.FundingSource.ID, err
}

// TopUp fills a wallet from a source and gives the transfer's state.
func (c *Client) TopUp(ctx context.Context, user, key, source string, amount Money) (string, error) {
	var p struct {
		FundingTransfer struct{ State string }
	}
	err := c.Mutate(ctx, user, WalletTopUp, map[string]any{"idempotencyKey": key, "sourceId": source, "amount": amount}, &p)
	return p.FundingTransfer.State, err
}

// Purchase says what to buy.
type Purchase struct {
	Key          string
	Card         string
	Source       string
	Conversation string // may be empty
}

// Buy buys.
func (c *Client) Buy(ctx context.Context, user string, p Purchase) (o Order, replayed bool, err error) {
	in := map[string]any{"idempotencyKey": p.Key, "card": p.Card, "fundingSourceId": p.Source}
	if p.Conversation != "" {
		in["conversationId"] = p.Conversation
	}
	var out struct {
		Order    *Order
		Replayed bool
	}
	err = c.Mutate(ctx, user, PurchaseCreate, in, &out)
	if out.Order != nil {
		o = *out.Order
	}
	return o, out.Replayed, err
}
