package main

import (
	"time"

	"github.com/soukhq/souk/internal/core/webhook"
)

type webhookVector struct {
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Payload   string `json:"payload"`
}

type signed struct {
	Signature string `json:"signature"`
}

// standardWebhooks signs a message.
func standardWebhooks(v webhookVector) any {
	s, err := webhook.Sign(v.Secret, v.ID, time.Unix(v.Timestamp, 0), []byte(v.Payload))
	if err != nil {
		return invalid
	}
	return signed{Signature: s}
}
