package merchantsim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// takeWebhook hears of what became of an order. It answers 2xx only when the
// event is on disk; until then Souk sends it again.
func (s *Server) takeWebhook(w http.ResponseWriter, r *http.Request) {
	// The signature is over the bytes as they came: they are not to be decoded and
	// encoded again on the way.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, problem{http.StatusRequestEntityTooLarge, "TOO_LARGE", "the webhook is too large or was cut off"})
		return
	}
	secrets := s.settings.Load().secrets
	if len(secrets) == 0 {
		fail(w, problem{http.StatusServiceUnavailable, "NOT_REGISTERED", "the secret of the webhooks is not known yet"})
		return
	}
	e := Entry{Kind: Webhook, MessageID: r.Header.Get(standardwebhooks.HeaderWebhookID), Verdict: Verified}
	if err := verify(secrets, body, r.Header); err != nil {
		// Whoever sent it, nothing in it is to be believed, not even what it is about.
		e.Verdict, e.MessageID = err.Error(), cut(e.MessageID, 100)
		_ = s.log.Append(e)
		fail(w, problem{http.StatusUnauthorized, "NOT_TRUSTED", err.Error()})
		return
	}
	plan := s.plans.next(OnWebhooks, "")
	if plan.Behaviour != OK {
		e.Behaviour = plan.Behaviour
	}
	if !s.unsettle(w, r, plan) {
		return
	}
	s.hear(w, body, e)
}

// hear notes a webhook that is Souk's.
func (s *Server) hear(w http.ResponseWriter, body []byte, e Entry) {
	var event struct {
		Type string `json:"type"`
		Data struct {
			OrderID string `json:"orderId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		fail(w, problem{http.StatusBadRequest, "MALFORMED", "the webhook is not JSON"})
		return
	}
	e.Event, e.OrderID = event.Type, event.Data.OrderID
	// The id is the same in every attempt: what was done for it is not done again.
	e.Again = s.webhooks.add(e.MessageID, time.Now())
	if err := s.log.Append(e); err != nil {
		fail(w, problem{http.StatusServiceUnavailable, "UNAVAILABLE", "try again"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// verify tries one secret after another: while one is exchanged for the next,
// either may have signed.
func verify(secrets []*standardwebhooks.Webhook, body []byte, header http.Header) error {
	var all error
	for _, secret := range secrets {
		err := secret.Verify(body, header)
		if err == nil {
			return nil
		}
		all = errors.Join(all, err)
	}
	return all
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
