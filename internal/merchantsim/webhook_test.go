package merchantsim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/webhook"
)

// deliver sends a webhook as Souk does, signed with each of the secrets.
func deliver(t testing.TB, url string, secrets []string, messageID, body string, at time.Time) (answered, error) {
	t.Helper()
	signature, err := webhook.SignAll(secrets, messageID, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(webhook.HeaderID, messageID)
	req.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhook.HeaderSignature, signature)
	return do(req)
}

const paid = `{"type":"order.paid","timestamp":"2030-01-01T00:00:00Z","data":{"orderId":"T3JkZXI6","state":"PAID"}}`

func TestServer_Webhook(t *testing.T) {
	t.Parallel()
	older, newer := webhook.NewSecret(), webhook.NewSecret()
	b := setup(t, func(c *Config) { c.WebhookSecrets = []string{newer, older} })
	send := func(secrets []string, messageID, body string, at time.Time, status int) {
		t.Helper()
		got, err := deliver(t, b.url+"/webhooks", secrets, messageID, body, at)
		if err != nil || got.status != status {
			t.Error(got, err)
		}
	}
	first := id.New().String()
	send([]string{older}, first, paid, time.Now(), 204)
	send([]string{newer}, first, paid, time.Now(), 204) // again
	send([]string{webhook.NewSecret(), older}, id.New().String(), paid, time.Now(), 204)
	send([]string{webhook.NewSecret()}, id.New().String(), paid, time.Now(), 401)
	send([]string{newer}, id.New().String(), paid, time.Now().Add(-6*time.Minute), 401)
	send([]string{newer}, id.New().String(), "not JSON", time.Now(), 400)
	if got, err := post(t, b.url+"/webhooks", "application/json", paid); err != nil || got.status != 401 {
		t.Error(got, err)
	}
	log := b.log()
	var verified, again, refused int
	for _, e := range log {
		switch {
		case e.Kind != Webhook:
			t.Error(e)
		case e.Verdict != Verified:
			refused++
			if e.OrderID != "" || e.Event != "" {
				t.Error("believed", e)
			}
		default:
			verified++
			if e.Again {
				again++
			}
			if e.Event != "order.paid" || e.OrderID != "T3JkZXI6" || e.MessageID == "" {
				t.Error(e)
			}
		}
	}
	if verified != 3 || again != 1 || refused != 3 {
		t.Error(verified, again, refused)
	}
	if s := Stories(log)["T3JkZXI6"]; s.Events["order.paid"] != 2 {
		t.Error(s)
	}

	b.restart()
	send2, err := deliver(t, b.url+"/webhooks", []string{newer}, first, paid, time.Now())
	if err != nil || send2.status != 204 {
		t.Error(send2, err)
	}
	if log := b.log(); !log[len(log)-1].Again {
		t.Error("forgotten over a restart")
	}
}

func TestServer_Webhook_Behaviour(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	b := setup(t)
	send := func() (answered, error) {
		return deliver(t, b.url+"/webhooks", []string{secret}, id.New().String(), paid, time.Now())
	}
	if got, err := send(); err != nil || got.status != 503 {
		t.Error("no secret yet", got, err)
	}
	if err := b.sim.Configure(Settings{WebhookSecrets: []string{secret}}); err != nil {
		t.Fatal(err)
	}
	b.behave(Plan{Behaviour: Down, On: OnWebhooks, Status: 410, Count: 1})
	if got, err := send(); err != nil || got.status != 410 {
		t.Error(got, err)
	}
	b.behave(Plan{Behaviour: Down, On: OnWebhooks, Count: 1})
	if got, err := send(); err == nil {
		t.Error(got)
	}
	if len(b.log()) != 0 {
		t.Error("noted what it did not take")
	}
	if got, err := send(); err != nil || got.status != 204 {
		t.Error(got, err)
	}
	if err := b.sim.Configure(Settings{WebhookSecrets: []string{"whsec_!"}}); err == nil {
		t.Error("took a secret that is none")
	}
}
