package rest

import (
	"strconv"
	"time"
)

// retryAfter writes a wait as RFC 9110 §10.2.3 has it: whole seconds, rounded up.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
