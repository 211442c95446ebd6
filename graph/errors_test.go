package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/errs"
)

func TestErrors_Presented(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for how, want := range map[string]map[string]any{
		"panic":     {"code": "INTERNAL", "requestId": "request-of-a-test"},
		"internal":  {"code": "INTERNAL", "requestId": "request-of-a-test"},
		"unknown":   {"code": "INTERNAL", "requestId": "request-of-a-test"},
		"cursor":    {"code": "CURSOR_INVALID", "field": []any{"after"}},
		"forbidden": {"code": "FORBIDDEN"},
		"anonymous": {"code": "UNAUTHENTICATED"},
		"full":      {"code": "UNAVAILABLE", "reason": "QUEUE_FULL", "requestId": "request-of-a-test"},
	} {
		r := b.query(`query Q($how: String!) { x: fail(how: $how) }`, map[string]any{"how": how}, "X-Request-Id", "request-of-a-test")
		if r.status != 200 || len(r.Errors) != 1 || r.Data == nil {
			t.Fatalf("%s: %d %s", how, r.status, r.body)
		}
		if diff := cmp.Diff(want, r.Errors[0].Extensions); diff != "" {
			t.Errorf("%s: %s", how, diff)
		}
		if r.Errors[0].Path.String() != "x" {
			t.Errorf("%s: the path is %v", how, r.Errors[0].Path)
		}
		for _, secret := range []string{"hunter2", "secret text", "BROKEN", "panic"} {
			if strings.Contains(r.body, secret) {
				t.Errorf("%s: the client sees %q in %s", how, secret, r.body)
			}
		}
	}
	for _, logged := range []string{"hunter2", "request-of-a-test", "errors_test", "fake_test.go"} {
		if logged != "errors_test" && !strings.Contains(b.log.String(), logged) {
			t.Errorf("the log has no %q: %s", logged, b.log)
		}
	}
}

func TestErrors_NoGuesses(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, query := range []string{"{helo}", "{echo(ss: 1)}", "query($x: Pont) {echo(p: $x)}", "{echo(c: GREN)}", "{things}", "{echo(p: {xx: 1})}", "{things {eges}}"} {
		r := b.query(query, nil)
		if r.status != 400 || r.code() != codeValidation || strings.Contains(r.body, "Did you mean") {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	if r := b.query("{"+strings.Repeat("a b c d ", 100)+"}", nil); len(r.Errors) != maxErrors {
		t.Error("a document with 400 faults is told of", len(r.Errors))
	}
}

func TestErrors_Caller(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Verifier = fakeVerifier{} })
	if r := b.post(`{"query":"{hello}"}`); r.status != 200 {
		t.Error("nobody:", r.status, r.body)
	}
	r := b.post(`{"query":"{hello}"}`, "Authorization", "Bearer bad")
	if r.status != 401 || r.code() != codeUnauthenticated || r.header.Get("WWW-Authenticate") == "" {
		t.Error("a bad token:", r.status, r.header, r.body)
	}
	if r := b.post(`{"query":"{hello}"}`, "Authorization", "Bearer down"); r.status != 503 || r.code() != codeUnavailable {
		t.Error("the issuer is away:", r.status, r.body)
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	var last atomic.Int64
	var refuse atomic.Bool
	b := setup(t, func(c *Config) {
		c.Gate = func(ctx context.Context, cost int) error {
			last.Store(int64(cost))
			if ClientAddr(ctx).String() != "127.0.0.1" {
				return errors.New("no address")
			}
			if refuse.Load() {
				err := errs.New(errs.RateLimited, "RATE_LIMITED", "Too fast.").With(errs.RetryAfter)
				err.RetryIn = 1500 * time.Millisecond
				return fmt.Errorf("gate: %w", err)
			}
			return nil
		}
	})
	for query, cost := range map[string]int64{
		"{hello}":                       1,
		"{":                             1,
		"mutation{add(n:1)}":            10,
		"mutation{heavy}":               400,
		"{things(first:10){nodes{id}}}": 11,
	} {
		if b.query(query, nil); last.Load() != cost {
			t.Errorf("%s cost %d, not %d", query, last.Load(), cost)
		}
	}
	refuse.Store(true)
	for _, query := range []string{"{hello}", "{nothing}"} {
		r := b.query(query, nil)
		if r.status != 429 || r.code() != codeRateLimited || r.header.Get("Retry-After") != "2" || r.Errors[0].Extensions["retryAfterMs"] != 1500.0 {
			t.Errorf("%s: %d %v %s", query, r.status, r.header, r.body)
		}
	}
	if r := b.do("POST", b.url, `{"query":"{hello}"}`, "Content-Type", typeJSON, "Accept", typeStream); r.header.Get("Retry-After") != "2" || !strings.Contains(r.body, `"code":"RATE_LIMITED"`) {
		t.Error("a stream:", r.header, r.body)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	type seen struct {
		Op   Operation
		Code string
	}
	var mu sync.Mutex
	var list []seen
	b := setup(t, func(c *Config) {
		c.Watch = func(ctx context.Context, op Operation) (context.Context, func(string)) {
			return ctx, func(code string) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, seen{op, code})
			}
		}
	})
	b.query("query A {hello}", nil)
	b.query("query B {nothing}", nil)
	b.query(`query C {fail(how:"cursor")}`, nil)
	want := []seen{
		{Operation{"A", "query", 1}, ""},
		{Operation{"", "", 1}, "VALIDATION_FAILED"},
		{Operation{"C", "query", 1}, "CURSOR_INVALID"},
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
}

// OrderErrorCode and OrderUserError stand for what gqlgen makes of a domain.
type OrderErrorCode string

func (c OrderErrorCode) IsValid() bool { return c == "SOLD_OUT" || c == "FUNDS_SHORT" }

type OrderUserError struct {
	Code         OrderErrorCode `json:"code"`
	Message      string         `json:"message"`
	Field        []string       `json:"field"`
	Retry        errs.Retry     `json:"retry"`
	RetryAfterMs *int           `json:"retryAfterMs"`
}

func TestUserErrors(t *testing.T) {
	t.Parallel()
	sort := func(err error) ([]OrderUserError, error) {
		return userErrors(err, func(r refusal[OrderErrorCode]) OrderUserError { return OrderUserError(r) })
	}
	soldOut := errs.New(errs.Failed, "SOLD_OUT", "None left.", "input", "quantity").With(errs.RetryNewKey)
	later := errs.New(errs.Conflict, "FUNDS_SHORT", "Wait.").With(errs.RetryAfter)
	later.RetryIn = 2 * time.Second
	ms := 2000
	first := OrderUserError{"SOLD_OUT", "None left.", []string{"input", "quantity"}, errs.RetryNewKey, nil}
	second := OrderUserError{"FUNDS_SHORT", "Wait.", nil, errs.RetryAfter, &ms}
	for _, test := range []struct {
		err  error
		want []OrderUserError
	}{
		{nil, nil},
		{fmt.Errorf("pay: %w", soldOut.Because(errSecret)), []OrderUserError{first}},
		{errors.Join(soldOut, later), []OrderUserError{first, second}},
	} {
		got, err := sort(test.err)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%v: %v %s", test.err, err, cmp.Diff(test.want, got))
		}
	}
	for _, err := range []error{errSecret, errs.ErrForbidden, errs.ErrUnavailable, errors.Join(soldOut, errSecret)} {
		if got, back := sort(err); got != nil || !errors.Is(back, err) {
			t.Errorf("%v became %v, %v", err, got, back)
		}
	}
	if _, err := sort(errs.New(errs.Failed, "NOT_IN_THE_SCHEMA", "x")); err == nil || errs.KindOf(err) != errs.Internal {
		t.Error("a code that the schema does not have is", err)
	}
}
