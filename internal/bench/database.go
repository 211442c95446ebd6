package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/soukhq/souk/internal/base/id"
)

// newDatabase makes an empty database on a server, and gives its URL and what
// drops it again.
func newDatabase(ctx context.Context, server, purpose string) (databaseURL string, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", nil, errors.New("bench: PostgreSQL's URL cannot be read")
	}
	name := "bench_" + purpose + "_" + id.New().String()
	quoted := pgx.Identifier{name}.Sanitize()
	if err := execute(ctx, server, "CREATE DATABASE "+quoted+" TEMPLATE template0"); err != nil {
		return "", nil, fmt.Errorf("make a database: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return execute(ctx, server, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)")
	}, nil
}

func execute(ctx context.Context, databaseURL, statement string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
