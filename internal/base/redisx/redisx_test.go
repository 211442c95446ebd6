package redisx_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/base/redisx"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func open(t *testing.T, url string) *redisx.Redis {
	t.Helper()
	r, err := redisx.Open(t.Context(), config.Redis{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// eachServer runs test on the server inside and on a real one.
func eachServer(t *testing.T, test func(t *testing.T, r *redisx.Redis)) {
	t.Run("inside", func(t *testing.T) { t.Parallel(); test(t, open(t, "")) })
	t.Run("real", func(t *testing.T) { t.Parallel(); test(t, open(t, testkit.Redis(t))) })
}

func TestOpen_KeysExpire(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, r *redisx.Redis) {
		ctx := t.Context()
		if err := r.Set(ctx, "lock", "mine", 300*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		if r.Get(ctx, "lock").Val() != "mine" {
			t.Error("the lock is not held")
		}
		testkit.Eventually(t, ctx, func() error {
			if err := r.Get(ctx, "lock").Err(); !errors.Is(err, redis.Nil) {
				return errors.New("the lock never ends")
			}
			return nil
		})
	})
}

func TestOpen_ScriptsAndMessages(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, r *redisx.Redis) {
		ctx := t.Context()
		if n, err := redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1])").Run(ctx, r, []string{"n"}, 5).Int(); err != nil || n != 5 {
			t.Errorf("a script gave %d, %v", n, err)
		}
		sub := r.Subscribe(ctx, t.Name())
		defer func() { _ = sub.Close() }()
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		r.Publish(ctx, t.Name(), "news")
		if message, err := sub.ReceiveMessage(ctx); err != nil || message.Payload != "news" {
			t.Errorf("got %v, %v", message, err)
		}
	})
}

func TestOpen_InsideIsClosedToOthers(t *testing.T) {
	t.Parallel()
	r := open(t, "")
	options := r.Options()
	if host, _, _ := net.SplitHostPort(options.Addrs[0]); !r.Inside() || host != "127.0.0.1" {
		t.Errorf("it listens on %s", options.Addrs[0])
	}
	stranger := redis.NewClient(&redis.Options{Addr: options.Addrs[0]})
	defer func() { _ = stranger.Close() }()
	if err := stranger.Set(t.Context(), "k", "v", 0).Err(); err == nil {
		t.Error("no password was needed")
	}
	second := open(t, "")
	if second.Options().Password == options.Password {
		t.Error("two servers have one password")
	}
}

func TestOpen_WrongPassword(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	server.User = url.UserPassword("default", "hunter2")
	_, err = redisx.Open(t.Context(), config.Redis{URL: server.String()})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestOpen_ServerAway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // only to find a port on which nobody listens
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	r := open(t, "redis://"+addr)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.Ping(ctx).Err(); err == nil || ctx.Err() != nil {
		t.Errorf("asking a server that is away gave %v, %v", err, ctx.Err())
	}
}

func TestOpen_Cluster(t *testing.T) {
	t.Parallel()
	inside := open(t, "").Options() // it also answers as a cluster of one
	r := open(t, "redis://default:"+inside.Password+"@"+inside.Addrs[0]+","+inside.Addrs[0])
	if _, isCluster := r.UniversalClient.(*redis.ClusterClient); !isCluster {
		t.Fatalf("two hosts opened a %T", r.UniversalClient)
	}
	if err := r.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
}
