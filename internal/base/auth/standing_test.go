package auth

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

func TestStanding_AsksSeldom(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	token := tb.token(t, "alice", nil)
	for range 1000 {
		if _, err := verifyBearer(tb.Verifier, token); err != nil {
			t.Fatal(err)
		}
	}
	if tb.directory.asked != 1 {
		t.Errorf("asked %d times", tb.directory.asked)
	}
	tb.clock.Advance(trustFor)
	if _, err := verifyBearer(tb.Verifier, token); err != nil || tb.directory.asked != 2 {
		t.Errorf("asked %d times, %v", tb.directory.asked, err)
	}
}

// The same cases for this process and for another one.
func TestStanding_Revocations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(tb *testBundle, d *fakeDirectory)
		revoke func(tb *testBundle) Revocation
	}{
		"user": {
			func(_ *testBundle, d *fakeDirectory) { d.accounts["alice"] = Account{} },
			func(tb *testBundle) Revocation { return Revocation{UserID: tb.user} },
		},
		"all of a user's tokens": {
			func(tb *testBundle, d *fakeDirectory) {
				d.accounts["alice"] = Account{UserID: tb.user, Active: true, TokensValidAfter: start.Add(time.Microsecond)}
			},
			func(tb *testBundle) Revocation { return Revocation{UserID: tb.user} },
		},
		"device": {
			func(tb *testBundle, d *fakeDirectory) { d.devices[tb.device] = false },
			func(tb *testBundle) Revocation { return Revocation{UserID: tb.user, DeviceID: tb.device} },
		},
		"token": {
			func(_ *testBundle, d *fakeDirectory) { d.revoked["t1"] = true },
			func(*testBundle) Revocation { return Revocation{TokenID: "t1"} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := setup(t)
			other := tb.process(t)
			token := tb.token(t, "alice", map[string]any{"jti": "t1", "device": id.Global(DeviceType, tb.device)})
			var watched []context.Context
			for _, v := range []*Verifier{tb.Verifier, other} {
				viewer, err := verifyBearer(v, token)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel, err := v.Watch(t.Context(), viewer)
				if err != nil {
					t.Fatal(err)
				}
				defer cancel()
				watched = append(watched, ctx)
			}

			tb.directory.change(func(d *fakeDirectory) { tc.change(tb, d) })
			tb.Revoked(t.Context(), tc.revoke(tb))
			if context.Cause(watched[0]) == nil {
				t.Error("the subscription here goes on")
			}
			_, err := verifyBearer(tb.Verifier, token)
			wantCode(t, "here", err, "UNAUTHENTICATED")

			select {
			case <-watched[1].Done():
				wantCode(t, "cause", context.Cause(watched[1]), "UNAUTHENTICATED")
			case <-time.After(10 * time.Second):
				t.Fatal("the subscription there goes on")
			}
			_, err = verifyBearer(other, token)
			wantCode(t, "there", err, "UNAUTHENTICATED")
		})
	}
}

func TestStanding_OthersGoOn(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	bob := id.New()
	tb.directory.change(func(d *fakeDirectory) { d.accounts["bob"] = Account{UserID: bob, Active: true} })
	viewer, err := verifyBearer(tb.Verifier, tb.token(t, "alice", map[string]any{"jti": "a", "device": id.Global(DeviceType, tb.device)}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel, err := tb.Watch(t.Context(), viewer)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	for _, r := range []Revocation{
		{}, {UserID: bob}, {UserID: tb.user, DeviceID: id.New()}, {MerchantID: tb.user}, {TokenID: "b"},
	} {
		tb.Revoked(t.Context(), r)
		if ctx.Err() != nil {
			t.Fatalf("%+v ended alice's subscription", r)
		}
	}
}

func TestWatch_Ends(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	viewer, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("with its parent", func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, done, err := tb.Watch(parent, viewer)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		cancel()
		<-ctx.Done()
		until(t, "forgotten", func() bool { return len(tb.watchers.list()) == 0 })
	})
	t.Run("when cancelled", func(t *testing.T) {
		ctx, done, err := tb.Watch(t.Context(), viewer)
		if err != nil {
			t.Fatal(err)
		}
		done()
		<-ctx.Done()
		until(t, "forgotten", func() bool { return len(tb.watchers.list()) == 0 })
	})
	t.Run("at expiry", func(t *testing.T) {
		soon := viewer
		soon.ExpiresAt = start.Add(time.Millisecond)
		ctx, done, err := tb.Watch(t.Context(), soon)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		<-ctx.Done()
		wantCode(t, "cause", context.Cause(ctx), "UNAUTHENTICATED")
	})
	t.Run("before it begins", func(t *testing.T) {
		late := viewer
		late.ExpiresAt = start
		_, _, err := tb.Watch(t.Context(), late)
		wantCode(t, "expired", err, "UNAUTHENTICATED")
		_, _, err = tb.Watch(t.Context(), Viewer{})
		wantCode(t, "anonymous", err, "UNAUTHENTICATED")
		tb.directory.change(func(d *fakeDirectory) { d.down = fmt.Errorf("down") })
		_, _, err = tb.Watch(t.Context(), viewer)
		wantCode(t, "nobody can tell", err, "UNAVAILABLE")
		tb.directory.change(func(d *fakeDirectory) { d.down = nil })
		tb.directory.block("alice")
		_, _, err = tb.Watch(t.Context(), viewer)
		wantCode(t, "revoked since it was verified", err, "UNAUTHENTICATED")
	})
}

// While Redis is away nobody tells this process of another's revocations: it
// asks more often.
func TestStanding_RedisAway(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	token := tb.token(t, "alice", nil)
	viewer, err := verifyBearer(tb.Verifier, token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel, err := tb.Watch(t.Context(), viewer)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	tb.redis.Close()
	until(t, "away", func() bool { return !tb.deps.Bus.Connected() })
	tb.directory.change(func(d *fakeDirectory) { d.down = fmt.Errorf("down too") })
	tb.clock.Advance(trustForAlone / 2)
	if _, err := verifyBearer(tb.Verifier, token); err != nil {
		t.Error("within a second:", err)
	}
	tb.clock.Advance(trustForAlone)
	_, err = verifyBearer(tb.Verifier, token)
	wantCode(t, "asks and gets no answer", err, "UNAVAILABLE")
	if ctx.Err() != nil {
		t.Error("the subscription ended though nobody said so")
	}

	tb.directory.change(func(d *fakeDirectory) { d.down = nil })
	tb.directory.block("alice")
	_, err = verifyBearer(tb.Verifier, token)
	wantCode(t, "asks and learns", err, "UNAUTHENTICATED")
	<-ctx.Done() // it asks each second
	wantCode(t, "cause", context.Cause(ctx), "UNAUTHENTICATED")
}

// After Redis was away, what was revoked meanwhile is found.
func TestStanding_RedisBack(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	other := tb.process(t)
	viewer, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel, err := tb.Watch(t.Context(), viewer)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	tb.redis.Close()
	until(t, "away", func() bool { return !tb.deps.Bus.Connected() && !other.deps.Bus.Connected() })
	tb.directory.block("alice")
	other.Revoked(t.Context(), Revocation{UserID: tb.user})
	if err := tb.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}

// A question that was asked before a revocation and answered after it must not
// be remembered.
func TestStanding_AnswerOlderThanRevocation(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	token := tb.token(t, "alice", nil)
	slow := &slowDirectory{Directory: tb.directory, asked: make(chan struct{}), answer: make(chan struct{})}
	tb.deps.Directory = slow
	done := make(chan error)
	go func() { _, err := verifyBearer(tb.Verifier, token); done <- err }()
	<-slow.asked
	tb.directory.block("alice")
	tb.Revoked(t.Context(), Revocation{UserID: tb.user})
	close(slow.answer)
	if err := <-done; err != nil {
		t.Error("it came before:", err)
	}
	tb.deps.Directory = tb.directory
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "after", err, "UNAUTHENTICATED")
}

// slowDirectory holds an answer back.
type slowDirectory struct {
	Directory
	asked, answer chan struct{}
}

func (d *slowDirectory) ResolveUser(ctx context.Context, m mode.Mode, issuer, subject string) (Account, error) {
	a, err := d.Directory.ResolveUser(ctx, m, issuer, subject)
	close(d.asked)
	<-d.answer
	return a, err
}

// Whatever happens at once: who is blocked stays out after Revoked returned.
func TestStanding_Race(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	const users = 50
	tokens := make([]string, users)
	ids := make([]id.ID, users)
	for i := range users {
		ids[i] = id.New()
		name := fmt.Sprint("u", i)
		tb.directory.change(func(d *fakeDirectory) { d.accounts[name] = Account{UserID: ids[i], Active: true} })
		tokens[i] = tb.token(t, name, nil)
	}
	var blocked [users]atomic.Bool
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				for i := range users {
					before := blocked[i].Load()
					_, err := verifyBearer(tb.Verifier, tokens[i])
					if before && err == nil {
						t.Errorf("user %d passes", i)
						return
					}
				}
			}
		})
	}
	for i := range users {
		tb.directory.block(fmt.Sprint("u", i))
		tb.Revoked(t.Context(), Revocation{UserID: ids[i]})
		blocked[i].Store(true)
	}
	stop.Store(true)
	wg.Wait()
}

func TestErrAnswers(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	for _, reason := range []error{jose.ErrSignature, errProof, errKeyGone, reject("x")} {
		got := errs.As(tb.answer(t.Context(), reason))
		if got == nil || got.Message != errs.ErrUnauthenticated.Message || got.Code != "UNAUTHENTICATED" {
			t.Errorf("%v: %v", reason, got)
		}
	}
}
