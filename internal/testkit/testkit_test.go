package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPostgres_IsEmptyAndGoesAway(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("uses one", func(t *testing.T) {
		first = testkit.Postgres(t)
		if got := query[int](t, first, "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'"); got != 0 {
			t.Errorf("a fresh database has %d tables", got)
		}
		exec(t, first, "CREATE TABLE mine (n int)")
	})
	second := testkit.Postgres(t)
	name := first[strings.LastIndex(first, "/")+1 : strings.Index(first, "?")]
	if query[bool](t, second, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '"+name+"')") {
		t.Error("the first test's database is still there")
	}
}

func TestPostgresTemplate_IsBuiltOnce(t *testing.T) {
	t.Parallel()
	version := t.Name() + testkit.Postgres(t) // a server that outlives this run has the last one's
	var built atomic.Int32
	build := func(url string) error {
		built.Add(1)
		exec(t, url, "CREATE TABLE coin (n int); INSERT INTO coin VALUES (7)")
		return nil
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			url := testkit.PostgresFrom(t, testkit.PostgresTemplate(t, version, build))
			if got := query[int](t, url, "SELECT n FROM coin"); got != 7 {
				t.Errorf("the copy holds %d", got)
			}
		})
	}
	all.Wait()
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

func TestPostgresTemplate_FailedBuildIsRepeated(t *testing.T) {
	t.Parallel()
	version := t.Name() + testkit.Postgres(t)
	failed := probe(t, func(t testing.TB) {
		testkit.PostgresTemplate(t, version, func(url string) error {
			exec(t, url, "CREATE TABLE half (n int)")
			return errors.New("no luck")
		})
	})
	if !strings.Contains(failed, "no luck") {
		t.Fatalf("a failing build said %q", failed)
	}
	template := testkit.PostgresTemplate(t, version, func(string) error { return nil })
	url := testkit.PostgresFrom(t, template)
	if got := query[int](t, url, "SELECT count(*)::int FROM pg_tables WHERE tablename = 'half'"); got != 0 {
		t.Error("what the failed build left is in the template")
	}
}

func TestRedis_IsApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var all sync.WaitGroup
	var seen sync.Map
	for range 20 {
		all.Go(func() {
			url := testkit.Redis(t)
			if _, twice := seen.LoadOrStore(url, true); twice {
				t.Errorf("%s was given twice", url)
			}
			client := open(t, url)
			if n := client.Incr(ctx, "n").Val(); n != 1 {
				t.Errorf("%s was not empty", url)
			}
		})
	}
	all.Wait()
}

func TestRedis_IsEmptiedForTheNext(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("uses one", func(t *testing.T) {
		url = testkit.Redis(t)
		open(t, url).Set(t.Context(), "left", "behind", 0)
	})
	if n := open(t, url).DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys stayed behind", n)
	}
}

func TestMissingServer_Fails(t *testing.T) {
	for _, name := range []string{testkit.PostgresEnv, testkit.RedisEnv} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, use := range map[string]func(testing.TB){
		"postgres": func(t testing.TB) { testkit.Postgres(t) },
		"redis":    func(t testing.TB) { testkit.Redis(t) },
	} {
		if said := probe(t, use); !strings.Contains(said, "make test") {
			t.Errorf("%s without a server said %q", name, said)
		}
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	testkit.Eventually(t, t.Context(), func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	said := probe(t, func(t testing.TB) {
		testkit.Eventually(t, ended, func() error { return errors.New("never") })
	})
	if !strings.Contains(said, "never") {
		t.Errorf("a failed wait said %q", said)
	}
}

// recorder is a test that notes how it failed instead of failing.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// probe runs use as a test that may fail, and gives what it said.
func probe(t *testing.T, use func(testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		use(r)
	}()
	<-done
	return r.said
}

func open(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func exec(t testing.TB, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query[T any](t testing.TB, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var value T
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
