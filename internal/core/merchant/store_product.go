package merchant

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/ent/product"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) insertProduct(ctx context.Context, p Product) error {
	return asText(s.db.Client(ctx).Product.Create().
		SetID(p.ID).SetMode(p.Mode).SetMerchantID(p.MerchantID).SetSku(p.SKU).SetName(p.Name).SetDescription(p.Description).
		SetPriceMinor(p.Price.Minor).SetCurrency(p.Price.Currency).SetNillableStockCount(p.Stock).
		SetStatus(product.Status(p.Status)).SetCreatedAt(p.CreatedAt).SetUpdatedAt(p.UpdatedAt).Exec(ctx))
}

func (s *Service) saveProduct(ctx context.Context, p Product) error {
	u := s.db.Client(ctx).Product.Update().Where(product.ID(p.ID)).
		SetName(p.Name).SetDescription(p.Description).SetPriceMinor(p.Price.Minor).
		SetStatus(product.Status(p.Status)).SetUpdatedAt(p.UpdatedAt).SetNillableStockCount(p.Stock)
	if p.Stock == nil {
		u.ClearStockCount()
	}
	return asText(u.Exec(ctx))
}

func (s *Service) lockProduct(ctx context.Context, productID id.ID) (Product, error) {
	return oneProduct(store.Lock(s.db, s.db.Client(ctx).Product.Query().Where(product.ID(productID))).Only(ctx))
}

func (s *Service) lockSKU(ctx context.Context, merchantID id.ID, sku string) (Product, error) {
	return oneProduct(store.Lock(s.db, s.db.Client(ctx).Product.Query().Where(product.MerchantID(merchantID), product.Sku(sku))).Only(ctx))
}

func (s *Service) productBySKU(ctx context.Context, merchantID id.ID, sku string) (Product, error) {
	return oneProduct(s.db.Client(ctx).Product.Query().Where(product.MerchantID(merchantID), product.Sku(sku)).Only(ctx))
}

func (s *Service) productsByIDs(ctx context.Context, ids []id.ID, which ...predicate.Product) (map[id.ID]Product, error) {
	rows, err := s.db.Client(ctx).Product.Query().Where(product.IDIn(ids...)).Where(which...).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	out := make(map[id.ID]Product, len(rows))
	for _, r := range rows {
		out[r.ID] = productFromRow(r)
	}
	return out, nil
}

func (s *Service) productsByIDsIn(ctx context.Context, m mode.Mode, ids []id.ID) (map[id.ID]Product, error) {
	return s.productsByIDs(ctx, ids, product.Mode(m))
}

// productsOf reads up to one product more than the slice asks for.
func (s *Service) productsOf(ctx context.Context, v auth.Viewer, merchantID id.ID, sl page.Slice) ([]Product, error) {
	q := s.db.Client(ctx).Product.Query().Where(product.MerchantID(merchantID), product.Mode(v.Mode)).Limit(sl.Limit + 1)
	if !SeesInside(v, merchantID) {
		q = q.Where(product.StatusEQ(product.StatusOFFERED))
	}
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(product.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(product.IDGT(p))
	}
	rows, err := q.Order(product.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Product, len(rows))
	for i, r := range rows {
		out[i] = productFromRow(r)
	}
	return out, nil
}

func oneProduct(r *ent.Product, err error) (Product, error) {
	if ent.IsNotFound(err) {
		return Product{}, ErrProductNotFound.In("productId")
	}
	if err != nil {
		return Product{}, fmt.Errorf("read product: %w", err)
	}
	return productFromRow(r), nil
}

func productFromRow(r *ent.Product) Product {
	return Product{
		ID: r.ID, Mode: r.Mode, MerchantID: r.MerchantID, SKU: r.Sku, Name: r.Name, Description: r.Description,
		Price: money.Amount{Minor: r.PriceMinor, Currency: r.Currency}, Stock: r.StockCount, Status: ProductStatus(r.Status),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

// pairColumns are those of a merchant and of the product that stands beside it.
const pairColumns = `SELECT k.sku, m.id, m.mode, m.name, m.status, m.endpoint_url, m.jwks_url, m.jwks_fetched_at, m.created_at, m.updated_at,
	p.id, p.name, p.description, p.price_minor, p.currency, p.stock_count, p.status, p.created_at, p.updated_at `

const (
	pairsPostgres = pairColumns + `FROM json_to_recordset($1::json) AS k(m uuid, sku text)
		JOIN merchants m ON m.id = k.m LEFT JOIN products p ON p.merchant_id = m.id AND p.sku = k.sku`
	pairsSQLite = pairColumns + `FROM (SELECT json_extract(value, '$.m') AS m, json_extract(value, '$.sku') AS sku FROM json_each($1)) AS k
		JOIN merchants m ON m.id = k.m LEFT JOIN products p ON p.merchant_id = m.id AND p.sku = k.sku`
)

// readPairs reads merchants with one product each, all in one query.
func (s *Service) readPairs(ctx context.Context, keys []rowKey) (map[rowKey]rowPair, error) {
	type wanted struct {
		M   id.ID  `json:"m"`
		SKU string `json:"sku"`
	}
	list := make([]wanted, len(keys))
	for i, k := range keys {
		list[i] = wanted{k.merchantID, k.sku}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	query := pairsSQLite
	if s.db.IsPostgres() {
		query = pairsPostgres
	}
	rows, err := s.db.SQL(ctx).QueryContext(ctx, query, string(text))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := make(map[rowKey]rowPair, len(keys))
	for rows.Next() {
		sku, pair, err := scanPair(rows)
		if err != nil {
			return nil, err
		}
		out[rowKey{pair.merchant.ID, sku}] = pair
	}
	return out, rows.Err()
}

// productRow is a product that may not be there.
type productRow struct {
	id                        *id.ID
	name, description, status *string
	price                     *int64
	currency                  *money.Currency
	stock                     *int64
	createdAt, updatedAt      *time.Time
}

func scanPair(rows store.Rows) (sku string, pair rowPair, err error) {
	m, jwksURL, fetchedAt, p := &pair.merchant, sql.NullString{}, (*time.Time)(nil), productRow{}
	err = rows.Scan(&sku, &m.ID, (*int32)(&m.Mode), &m.Name, (*string)(&m.Status), &m.EndpointURL, &jwksURL, &fetchedAt, &m.CreatedAt, &m.UpdatedAt,
		&p.id, &p.name, &p.description, &p.price, &p.currency, &p.stock, &p.status, &p.createdAt, &p.updatedAt)
	if err != nil {
		return "", rowPair{}, err
	}
	m.JWKSURL, m.keysFetchedAt = jwksURL.String, timeOf(fetchedAt)
	m.CreatedAt, m.UpdatedAt = m.CreatedAt.UTC(), m.UpdatedAt.UTC()
	if p.id != nil {
		pair.product = &Product{
			ID: *p.id, Mode: m.Mode, MerchantID: m.ID, SKU: sku, Name: *p.name, Description: *p.description,
			Price: money.Amount{Minor: *p.price, Currency: *p.currency}, Stock: p.stock, Status: ProductStatus(*p.status),
			CreatedAt: p.createdAt.UTC(), UpdatedAt: p.updatedAt.UTC(),
		}
	}
	return sku, pair, nil
}
