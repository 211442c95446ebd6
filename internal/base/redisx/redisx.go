// Package redisx opens Redis: a server or a cluster by URL, or one inside this
// process where none is set.
//
// Redis carries queues, rate limits and fan-out. Nothing may be kept in it that
// cannot be lost: the one inside forgets all with the process, and an operator
// may flush the other at any time.
package redisx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/soukhq/souk/internal/base/config"
)

// Redis is a client, and the server too where that runs inside.
type Redis struct {
	redis.UniversalClient

	options *redis.UniversalOptions
	inside  *server // nil where a URL was set
}

// Open connects. A server that cannot be reached is no error, since Souk starts
// and works without Redis, if more slowly; one that answers and refuses us is.
func Open(ctx context.Context, cfg config.Redis) (*Redis, error) {
	if cfg.URL == "" {
		return openInside(cfg)
	}
	options, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	r := connect(options, cfg)
	if err := r.refusal(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func openInside(cfg config.Redis) (*Redis, error) {
	inside, err := startServer()
	if err != nil {
		return nil, err
	}
	r := connect(&redis.UniversalOptions{Addrs: []string{inside.redis.Addr()}, Password: inside.password}, cfg)
	r.inside = inside
	return r, nil
}

// connect makes a client that gives up soon: whoever asks Redis has another way
// to go on and must not be held up by its absence.
func connect(options *redis.UniversalOptions, cfg config.Redis) *Redis {
	options.ClientName = "souk"
	options.PoolSize = cfg.PoolSize
	options.DialTimeout = 2 * time.Second
	options.DialerRetries = 1
	options.ReadTimeout = 3 * time.Second
	options.MaxRetries = 2 // a restarted server leaves broken connections in the pool
	options.MaxRetryBackoff = 100 * time.Millisecond
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &Redis{UniversalClient: redis.NewUniversalClient(options), options: options}
}

// Options gives a copy of how the client was made, for libraries that make
// their own.
func (r *Redis) Options() redis.UniversalOptions { return *r.options }

// Inside tells whether the server runs in this process, so that no other
// process can reach it.
func (r *Redis) Inside() bool { return r.inside != nil }

// Close closes the client, and stops the server where it runs inside.
func (r *Redis) Close() error {
	err := r.UniversalClient.Close()
	if r.inside != nil {
		r.inside.stop()
	}
	return err
}

// refusal asks the server whether it takes us.
func (r *Redis) refusal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := r.Ping(ctx).Err()
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "ERR"} {
		if redis.HasErrorPrefix(err, prefix) {
			return fmt.Errorf("redis refuses: %w", err)
		}
	}
	return nil
}
