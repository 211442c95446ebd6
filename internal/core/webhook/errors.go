package webhook

import "github.com/soukhq/souk/internal/base/errs"

// Refusals about webhooks.
var (
	ErrNotFound    = errs.New(errs.NotFound, "ENDPOINT_NOT_FOUND", "There is no such endpoint.").In("endpointId")
	ErrLimit       = errs.New(errs.Failed, "ENDPOINT_LIMIT", "You have as many endpoints as one may have. Change one of them.")
	ErrDisabled    = errs.New(errs.Failed, "ENDPOINT_DISABLED", "This endpoint is disabled. Enable it first.").In("endpointId")
	ErrURL         = errs.New(errs.Invalid, "URL_INVALID", "This is not a URL that Souk may call: give an https URL of a public host.").In("url")
	ErrEventType   = errs.New(errs.Invalid, "EVENT_TYPE_UNKNOWN", "There is no such type of event.").In("eventTypes")
	ErrFilterEmpty = errs.New(errs.Invalid, "FILTER_EMPTY", "Restrict the filter: by state, by type of event or by time.").In("filter")
)
