package webhook_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/testkit"
)

func TestService_Endpoints(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		first, secret := b.create(t, "order.refunded", "order.paid", "order.paid")
		if !strings.HasPrefix(secret, "whsec_") || first.Status != webhook.Enabled || first.Mode != sandbox {
			t.Errorf("created %+v with a secret of %d characters", first, len(secret))
		}
		if diff := cmp.Diff([]string{"order.paid", "order.refunded"}, first.EventTypes); diff != "" {
			t.Errorf("types of events: %s", diff)
		}
		second, _ := b.create(t)
		url, off, none := "https://shop.example/hooks", false, []string{}
		changed, err := b.service.Update(t.Context(), b.viewer, first.ID, webhook.Change{URL: &url, EventTypes: &none, Enabled: &off})
		if err != nil || changed.URL != url || len(changed.EventTypes) != 0 || changed.Status != webhook.Disabled || changed.DisabledReason == "" {
			t.Errorf("changed to %+v, %v", changed, err)
		}
		on := true
		if changed, err = b.service.Update(t.Context(), b.viewer, first.ID, webhook.Change{Enabled: &on}); err != nil || changed.Status != webhook.Enabled || changed.DisabledReason != "" || changed.URL != url {
			t.Errorf("enabled as %+v, %v", changed, err)
		}
		l, err := b.service.Endpoints(t.Context(), b.viewer, page.Slice{Limit: 1})
		if err != nil || len(l.Items) != 1 || l.Items[0].ID != second.ID || !l.HasNext {
			t.Errorf("the first page is %+v, %v", l, err)
		}
		l, err = b.service.Endpoints(t.Context(), b.viewer, page.Slice{Limit: 5, After: webhook.EndpointPosition(second)})
		if err != nil || len(l.Items) != 1 || l.Items[0].ID != first.ID || l.HasNext {
			t.Errorf("the next page is %+v, %v", l, err)
		}
	})
}

func TestService_Endpoints_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		stranger := auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
		inside, unknown := "https://169.254.169.254/", []string{"order.paid", "order.stolen"}

		_, _, err := b.service.Create(t.Context(), b.viewer, inside, nil)
		wants(t, "metadata service", err, webhook.ErrURL)
		_, _, err = b.service.Create(t.Context(), b.viewer, b.receiver.url, unknown)
		wants(t, "unknown event", err, webhook.ErrEventType)
		_, err = b.service.Update(t.Context(), b.viewer, e.ID, webhook.Change{URL: &inside})
		wants(t, "change to the metadata service", err, webhook.ErrURL)
		_, err = b.service.Update(t.Context(), b.viewer, e.ID, webhook.Change{EventTypes: &unknown})
		wants(t, "change to an unknown event", err, webhook.ErrEventType)
		_, err = b.service.Update(t.Context(), b.viewer, id.New(), webhook.Change{})
		wants(t, "no endpoint", err, webhook.ErrNotFound)
		_, _, err = b.service.RotateSecret(t.Context(), b.viewer, id.New())
		wants(t, "secret of no endpoint", err, webhook.ErrNotFound)

		_, err = b.service.Update(t.Context(), stranger, e.ID, webhook.Change{})
		wants(t, "another merchant changes it", err, webhook.ErrNotFound)
		_, _, err = b.service.RotateSecret(t.Context(), stranger, e.ID)
		wants(t, "another merchant rotates its secret", err, webhook.ErrNotFound)
		_, err = b.service.Deliveries(t.Context(), stranger, e.ID, webhook.Filter{}, page.Slice{Limit: 1})
		wants(t, "another merchant reads its deliveries", err, webhook.ErrNotFound)
		if found, err := b.service.EndpointsByIDs(t.Context(), stranger, []id.ID{e.ID}); err != nil || len(found) != 0 {
			t.Errorf("another merchant sees it: %v", err)
		}
		for _, kind := range []auth.Kind{auth.Anonymous, auth.User, auth.Service, auth.Operator} {
			v := auth.Viewer{Kind: kind, Mode: sandbox, MerchantID: b.viewer.MerchantID}
			_, _, err := b.service.Create(t.Context(), v, b.receiver.url, nil)
			wants(t, kind.String()+" creates", err, errs.ErrForbidden)
			_, err = b.service.Update(t.Context(), v, e.ID, webhook.Change{})
			wants(t, kind.String()+" changes", err, errs.ErrForbidden)
			_, _, err = b.service.RotateSecret(t.Context(), v, e.ID)
			wants(t, kind.String()+" rotates", err, errs.ErrForbidden)
			_, err = b.service.Endpoints(t.Context(), v, page.Slice{Limit: 1})
			wants(t, kind.String()+" lists", err, errs.ErrForbidden)
			_, err = b.service.Replay(t.Context(), v, e.ID, webhook.Filter{States: []webhook.State{webhook.Failed}})
			wants(t, kind.String()+" replays", err, errs.ErrForbidden)
		}
	})
}

func TestService_Create_LimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		second := b.process(t, testkit.OpenStore(t, url), 0)
		var all sync.WaitGroup
		results := make([]error, 2*webhook.EndpointMax)
		for i := range results {
			service := []*webhook.Service{b.service, second}[i%2]
			all.Go(func() {
				_, _, results[i] = service.Create(t.Context(), b.viewer, b.receiver.url, nil)
			})
		}
		all.Wait()
		made := 0
		for _, err := range results {
			if err == nil {
				made++
				continue
			}
			wants(t, "one too many", err, webhook.ErrLimit)
		}
		if made != webhook.EndpointMax {
			t.Errorf("%d endpoints were made, want %d", made, webhook.EndpointMax)
		}
	})
}

func TestService_RotateSecret(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, old := b.create(t)
		rotated, secret, err := b.service.RotateSecret(t.Context(), b.viewer, e.ID)
		if err != nil || secret == old || rotated.PreviousSecretUntil == nil {
			t.Fatalf("rotated to %+v, %v", rotated, err)
		}
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		if m := b.receiver.last(t); m.signatures() != 2 || !m.signedBy(old) || !m.signedBy(secret) {
			t.Error("in the overlap both secrets do not sign")
		}
		if err := b.ring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := b.service.Reseal(t.Context()); err != nil || n != 1 {
			t.Errorf("Reseal = %d, %v", n, err)
		}
		if n, err := b.service.Reseal(t.Context()); err != nil || n != 0 {
			t.Errorf("a second Reseal = %d, %v", n, err)
		}
		b.advance(webhook.SecretOverlap)
		if b.endpoint(t, e.ID).PreviousSecretUntil != nil {
			t.Error("after the overlap there still is a previous secret")
		}
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		if m := b.receiver.last(t); m.signatures() != 1 || !m.signedBy(secret) {
			t.Error("after the overlap the new secret does not sign alone")
		}
	})
}

func TestService_SecretOfAnotherRowIsRefused(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.create(t)
		other, _ := b.create(t)
		if _, err := db.SQL(t.Context()).ExecContext(t.Context(),
			`UPDATE webhook_endpoints SET secret = (SELECT secret FROM webhook_endpoints WHERE id <> $1) WHERE id = $1`, other.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.service.Dispatch(t.Context(), b.event("order.paid")); err != nil {
			t.Fatal(err)
		}
		due, err := b.service.Due(t.Context(), 10)
		if err != nil || len(due) != 2 {
			t.Fatalf("due: %v, %v", due, err)
		}
		var failed int
		for _, d := range due {
			if b.service.Attempt(t.Context(), d) != nil {
				failed++
			}
		}
		if failed != 1 || len(b.receiver.messages()) != 1 {
			t.Error("a message was signed with a secret of another endpoint")
		}
	})
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]webhook.Config{
		"no events":      {},
		"negative times": {EventTypes: eventTypes, RetryFor: -time.Second},
	} {
		if _, err := webhook.New(webhook.Deps{}, c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
