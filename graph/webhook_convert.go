package graph

import (
	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/core/webhook"
)

func webhookErrors(err error) ([]model.WebhookUserError, error) {
	return userErrors(err, func(r refusal[model.WebhookErrorCode]) model.WebhookUserError { return model.WebhookUserError(r) })
}

func fromAPIEndpointChange(in model.WebhookEndpointUpdateInput) webhook.Change {
	c := webhook.Change{URL: in.URL, Enabled: in.Enabled}
	if in.EventTypes != nil {
		c.EventTypes = &in.EventTypes
	}
	return c
}

func fromAPIDeliveryFilter(in *model.WebhookDeliveryFilter) webhook.Filter {
	if in == nil {
		return webhook.Filter{}
	}
	return webhook.Filter{States: in.States, EventTypes: in.EventTypes, From: in.From, Until: in.Until}
}

// textOrNull shows a text that may be empty as null.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
