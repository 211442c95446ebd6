package testkit

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisEnv names the variable that holds the URL of the test server.
const RedisEnv = "SOUK_TEST_REDIS_URL"

const (
	redisDatabases = 512 // as scripts/with-services starts it
	// redisLease is how long a test may keep its database: longer than any test
	// binary may run, so that only those of killed ones come back by it.
	redisLease = 2 * time.Hour
)

// takeDatabase picks a free database number and notes it as taken. Database 0
// holds nothing but these notes; the counter makes a number that was just given
// back the last to be taken again.
var takeDatabase = redis.NewScript(`
for _ = 2, tonumber(ARGV[1]) do
	local n = redis.call('INCR', 'testkit:next') % (tonumber(ARGV[1]) - 1) + 1
	if redis.call('SET', 'testkit:taken:' .. n, '1', 'NX', 'PX', ARGV[2]) then
		return n
	end
end
return 0
`)

// Redis gives the URL of an empty Redis database that is this test's alone
// until it ends.
//
// Only keys are apart: Redis sends a published message to the subscribers of all
// databases, so that channels need names that are unique by themselves.
func Redis(t testing.TB) string {
	t.Helper()
	server, err := url.Parse(needEnv(t, RedisEnv))
	if err != nil {
		t.Fatalf("testkit: %s is no URL", RedisEnv)
	}
	var number int
	if err := onRedis(server, 0, func(ctx context.Context, client *redis.Client) error {
		number, err = takeDatabase.Run(ctx, client, nil, redisDatabases, redisLease.Milliseconds()).Int()
		if err == nil && number == 0 {
			err = errors.New("all databases are taken")
		}
		return err
	}); err != nil {
		t.Fatalf("testkit: take a Redis database: %v", err)
	}
	flush := func(ctx context.Context, client *redis.Client) error { return client.FlushDB(ctx).Err() }
	if err := onRedis(server, number, flush); err != nil {
		t.Fatalf("testkit: empty Redis database %d: %v", number, err)
	}
	t.Cleanup(func() {
		if err := errors.Join(onRedis(server, number, flush), giveBack(server, number)); err != nil {
			t.Errorf("testkit: give back Redis database %d: %v", number, err)
		}
	})
	return numbered(server, number)
}

func giveBack(server *url.URL, number int) error {
	return onRedis(server, 0, func(ctx context.Context, client *redis.Client) error {
		return client.Del(ctx, "testkit:taken:"+strconv.Itoa(number)).Err()
	})
}

// onRedis runs do on a client of its own.
func onRedis(server *url.URL, number int, do func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	options, err := redis.ParseURL(numbered(server, number))
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	return do(ctx, client)
}

func numbered(server *url.URL, number int) string {
	u := *server
	u.Path = "/" + strconv.Itoa(number)
	return u.String()
}
